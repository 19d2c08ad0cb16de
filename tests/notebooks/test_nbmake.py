"""The four notebooks run by nbmake, in the order of the day, with their own default parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import SESSION, Checkout

from livekit.backtest import PortfolioSimulator
from livekit.prices import ParquetPriceSource
from livekit.reports import parse_report
from livekit.workbench.audit import audit_files

NAMES = ["01_signals", "02_execution", "03_reconciliation", "04_comparison"]


@pytest.fixture(scope="module")
def day(traded: Checkout) -> tuple[Checkout, ElementTree.Element]:
    """The folder after ``pytest --nbmake``, and what that run reported.

    The template itself is traded on: no other test of this session sees it before a copy is made.
    """
    raise NotImplementedError
