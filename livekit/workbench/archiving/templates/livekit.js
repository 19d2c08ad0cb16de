/* Draws the charts of an archived page from the JSON data block it carries; searches the index.
   Runs from a file without a network: it loads nothing and sends nothing. */
(function () {
  "use strict";

  var prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  var finePointer = window.matchMedia("(pointer: fine)");

  /* A list that several figures use stands once in `shared`; long number lists are stored as
     differences of integers: {"$n": [decimals, first, difference, …]}. */
  function unpack(value, shared) {
    if (Array.isArray(value)) {
      return value.map(function (item) { return unpack(item, shared); });
    }
    if (value === null || typeof value !== "object") {
      return value;
    }
    if ("$s" in value) {
      return unpack(shared[value.$s], shared);
    }
    if ("$n" in value) {
      return numbers(value.$n);
    }
    var result = {};
    Object.keys(value).forEach(function (key) { result[key] = unpack(value[key], shared); });
    return result;
  }

  function numbers(packed) {
    var scale = Math.pow(10, packed[0]);
    var sum = 0;
    return packed.slice(1).map(function (difference) {
      sum += difference;
      return sum / scale;
    });
  }

  function template(dark) {
    var ink = dark ? "#d6dbe1" : "#2b3138";
    var grid = dark ? "#333b45" : "#e3e6ea";
    var paper = dark ? "#1b2027" : "#ffffff";
    var axis = {
      gridcolor: grid, linecolor: grid, zerolinecolor: dark ? "#5b6673" : "#aab2bb",
      tickcolor: grid, showspikes: false, ticks: ""
    };
    return {
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 12, color: ink },
        hoverlabel: { bgcolor: paper, bordercolor: grid, font: { color: ink } },
        xaxis: axis,
        yaxis: axis
      }
    };
  }

  function draw(host, figure) {
    var layout = figure.layout;
    layout.template = template(prefersDark.matches);
    layout.autosize = true;
    layout.margin = Object.assign({}, layout.margin, { t: 8 }); /* the page has the title */
    layout.dragmode = finePointer.matches ? "zoom" : false;
    return window.Plotly.newPlot(host, figure.data, layout, {
      displayModeBar: false, responsive: true, showLink: false, showTips: false
    });
  }

  function eachChart(action) {
    document.querySelectorAll(".chart.drawn").forEach(action);
  }

  function drawAll(hosts, block) {
    var next = 0;
    function step() {
      if (next >= hosts.length) {
        document.documentElement.setAttribute("data-charts", "done");
        return;
      }
      var host = hosts[next];
      var figure = unpack(block.figures[next], block.shared);
      next += 1;
      draw(host, figure).then(function () {
        host.classList.add("drawn");
        window.setTimeout(step, 0);
      });
    }
    step();
  }

  function charts() {
    var data = document.getElementById("figures");
    var hosts = Array.prototype.slice.call(document.querySelectorAll(".chart"));
    if (!data || !hosts.length) {
      return;
    }
    if (!window.Plotly) {
      hosts.forEach(function (host) {
        host.textContent = "The chart script is missing beside this archive; the tables below hold the numbers.";
      });
      return;
    }
    drawAll(hosts, JSON.parse(data.textContent));
    prefersDark.addEventListener("change", function () {
      eachChart(function (host) {
        window.Plotly.relayout(host, { template: template(prefersDark.matches) });
      });
    });
    window.addEventListener("beforeprint", function () {
      eachChart(function (host) {
        window.Plotly.relayout(host, { template: template(false), width: 680 });
      });
    });
    window.addEventListener("afterprint", function () {
      eachChart(function (host) {
        window.Plotly.relayout(host, { template: template(prefersDark.matches), autosize: true, width: null });
      });
    });
  }

  /* Wide tables scroll sideways; the keyboard must be able to reach those that do. */
  function scrollers() {
    document.querySelectorAll(".scroll").forEach(function (box) {
      if (box.scrollWidth > box.clientWidth) {
        box.setAttribute("tabindex", "0");
      }
    });
  }

  function search() {
    var field = document.getElementById("search");
    if (!field) {
      return;
    }
    var rows = Array.prototype.slice.call(document.querySelectorAll("[data-search]"));
    var count = document.getElementById("found");
    field.addEventListener("input", function () {
      var words = field.value.trim().toUpperCase().split(/\s+/);
      var shown = 0;
      rows.forEach(function (row) {
        var text = " " + row.getAttribute("data-search") + " ";
        var found = words.every(function (word) { return text.indexOf(" " + word) >= 0; });
        row.hidden = !found;
        shown += found ? 1 : 0;
      });
      count.textContent = shown + " of " + rows.length + " sessions";
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    scrollers();
    search();
    charts();
  });
})();
