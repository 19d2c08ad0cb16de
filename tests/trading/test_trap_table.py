"""The test of each failure that naive implementations of this program have, by its number."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

HERE = "trading/test_known_traps.py"
CRASHES = "trading/test_fault_matrix_crashes.py"
ORDERS = "trading/test_fault_matrix_orders.py"
EXITS = "trading/test_fault_matrix_exits.py"
INPUTS = "trading/test_fault_matrix_inputs.py"
PARTS = "trading/test_fault_matrix_parts.py"
STATE = "trading/test_fault_matrix_state.py"
WORLD = "trading/test_fault_matrix_world.py"
ANSWERS = "trading/test_fault_matrix_answers.py"
RUNS = "trading/test_fault_matrix_runs.py"
DAY, GUARDS = "trading/test_day.py", "trading/test_guards.py"
LEDGER = "trading/test_break_ledger.py"
RULES, SESSIONS = "strategy/test_price_rules.py", "strategy/test_session_decisions.py"
WEEKS, WALLS = "strategy/test_trailing_weeks.py", "broker/client/test_walls.py"

PROVEN_BY = {
    "T01": f"{WEEKS}::test_a_dip_on_a_tuesday_is_no_decision",
    "T02": "trading/test_trailing_stop_checker.py::"
    "test_the_answer_does_not_depend_on_the_hour_of_the_run",
    "T03": f"{INPUTS}::test_row_59_a_week_without_prices_is_put_off_flagged_and_made_up",
    "T04": f"{HERE}::test_t04_a_second_run_of_the_day_does_not_take_the_next_batch",
    "T05": f"{HERE}::test_t05_the_daily_limit_holds_in_the_shadow_book_too",
    "T06": f"{HERE}::test_t06_a_rotated_shadow_position_leaves_at_the_open_less_slippage",
    "T07": f"{HERE}::test_t07_the_protective_stop_holds_in_the_shadow_book_too",
    "T08": f"{HERE}::test_t08_entry_prices_are_fills_and_opens_never_size_over_shares",
    "T09": f"{HERE}::test_t09_a_split_is_no_loss_in_any_book",
    "T10": f"{RULES}::test_the_weakest_is_the_largest_loser_in_dollars",
    "T11": f"{DAY}::test_both_twins_and_the_broker_agree_to_the_cent_while_their_rules_do",
    "T12": f"{HERE}::test_t12_an_adopted_position_keeps_its_score",
    "T13": f"{GUARDS}::test_bracket_fallback",
    "T14": f"{GUARDS}::test_dry_run",
    "T15": f"{HERE}::test_t15_what_cannot_be_reconciled_makes_no_plan_and_no_file",
    "T16": f"{HERE}::test_t16_a_signal_file_is_believed_only_whole_unchanged_and_of_this_schema",
    "T17": f"{CRASHES}::test_row_02_killed_after_the_entry_was_taken",
    "T18": f"{CRASHES}::test_row_04_killed_between_a_fill_and_its_stop",
    "T19": f"{EXITS}::test_row_23_a_cancel_refused_as_canceled_goes_on_to_the_sale",
    "T20": f"{CRASHES}::test_row_07_killed_after_the_sale_was_taken_books_the_true_fill",
    "T21": f"{CRASHES}::test_row_05_killed_after_the_stop_was_taken",
    "T22": f"{STATE}::test_row_49_a_full_disk_sends_nothing_or_leaves_an_order_that_is_adopted",
    "T23": f"{DAY}::test_a_run_that_a_crash_left_open_is_a_failed_one_at_the_next_start",
    "T24": f"{ORDERS}::test_row_35_the_venue_refuses_a_bracket_without_a_target_and_our_stop_lasts",
    "T25": f"{GUARDS}::test_bracket_order_preferred",
    "T26": f"{ORDERS}::test_row_32_a_stop_that_died_overnight_is_placed_again_at_the_next_run",
    "T27": f"{WORLD}::test_row_58_a_halted_ticker_never_delays_the_stop_of_another",
    "T28": f"{HERE}::test_t28_the_executor_watches_through_the_open",
    "T29": f"{PARTS}::test_row_29_a_buy_that_ended_in_part_is_a_position_of_that_part",
    "T30": f"{PARTS}::test_row_28_a_buy_that_filled_in_part_is_covered_within_ten_seconds",
    "T31": f"{EXITS}::test_row_20_a_sale_refused_because_shares_are_held_restores_the_stop",
    "T32": f"{EXITS}::test_row_27_of_a_stop_that_filled_in_part_only_the_rest_is_sold",
    "T33": f"{EXITS}::test_row_30_an_exit_that_filled_in_part_leaves_the_rest_covered",
    "T34": f"{ANSWERS}::test_row_13_a_request_whose_answer_is_lost_is_adopted",
    "T35": f"{HERE}::test_t35_a_sale_queued_before_the_open_is_watched_and_booked_as_ours",
    "T36": f"{HERE}::test_t36_an_order_of_another_day_that_filled_unseen_is_found_and_covered",
    "T37": f"{HERE}::test_t37_an_entry_without_a_stop_price_is_never_sent",
    "T38": f"{HERE}::test_t38_a_count_written_with_decimals_is_that_count",
    "T39": f"{ORDERS}::test_row_40_a_fraction_of_a_share_is_a_break_with_a_proposal_and_no_crash",
    "T40": f"{HERE}::test_t40_two_lots_of_a_ticker_are_added_up",
    "T41": f"{HERE}::test_t41_a_manual_sale_in_two_parts_is_booked_at_both_prices",
    "T42": f"{DAY}::test_a_stop_reached_on_the_entry_session_sells_at_the_stop_less_slippage",
    "T43": f"{GUARDS}::test_recount_positions",
    "T44": f"{HERE}::test_t44_a_recovered_entry_brings_its_stop_along",
    "T45": f"{DAY}::test_a_split_doubles_the_shares_and_halves_the_stop",
    "T46": f"{HERE}::test_t46_the_switch_set_for_one_ticker_blocks_no_stop_of_another",
    "T47": f"{STATE}::test_row_45_the_switch_between_two_entries_holds_the_second",
    "T48": f"{STATE}::test_row_47_a_switch_that_cannot_be_read_counts_as_on",
    "T49": f"{RUNS}::test_row_74_an_undelivered_alert_stays_is_tried_again_and_shows_red",
    "T50": f"{HERE}::test_t50_a_run_that_leaves_shares_uncovered_never_ends_well",
    "T51": f"{WORLD}::test_row_54_without_the_venues_clock_nothing_is_bought_and_all_is_covered",
    "T52": f"{HERE}::test_t52_a_holidays_order_has_the_id_of_the_session_after_it",
    "T53": f"{INPUTS}::test_row_63_the_same_signals_under_another_date_are_refused",
    "T54": f"{INPUTS}::test_row_62_yesterdays_plan_and_an_edited_one_are_refused",
    "T55": f"{INPUTS}::test_row_64_a_plan_beyond_its_bounds_is_refused_though_it_is_stored",
    "T56": f"{WALLS}::test_non_paper_url_rejected",
    "T57": f"{STATE}::test_row_41_of_two_executors_the_second_sends_no_request",
    "T58": f"{HERE}::test_t58_requests_that_take_their_time_are_counted_against_the_cut_off",
    "T59": f"{HERE}::test_t59_orders_of_the_day_are_counted_from_rows_and_venue_together",
    "T60": f"{STATE}::test_row_51_a_database_that_is_not_there_is_never_made_on_the_way",
    "T61": f"{WALLS}::test_a_redirect_is_not_followed_and_the_keys_stay_here",
    "T62": f"{ANSWERS}::test_row_16_a_cancel_or_a_sale_that_fails_is_one_sale_and_no_share_is_bare",
}


def test_every_trap_has_a_test_that_exists() -> None:
    assert sorted(PROVEN_BY) == [f"T{number:02d}" for number in range(1, 63)]
    for trap, named in PROVEN_BY.items():
        path, name = named.split("::")
        text = (TESTS / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{trap}: {named}"
