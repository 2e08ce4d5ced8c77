//! Stories told by ways that name calls, alone and beside lines.

use super::tests::{DANA, Story, caller, check};

#[test]
fn a_queue_heard_by_name_is_told_from_the_waiting_caller_to_the_end() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K queue support", "#1 known"),
        (1, "ami K waits support 2", "#1 waits support 2"),
        (900, "ami K waits support 2", ""),
        (1000, "ami K waits support 1", "#1 waits support 1"),
        (1100, "ami K rings 101", "#1 offered 101"),
        (1101, "ami K rings 102", "#1 offered 102"),
        (1102, "ami K rings 103", "#1 offered 103"),
        (2000, "ami K stopped 103 declined", "#1 withdrawn 103 (declined)"),
        (2500, "ami K stopped 101 elsewhere", ""),
        (2501, "ami K answered 102", "#1 answered 102, #1 withdrawn 101 (taken by 102)"),
        (2502, "ami K answered 102", ""),
        (3000, "ami K hold 102", "#1 held 102"),
        (3001, "ami K hold 102", ""),
        (4000, "ami K unhold 102", "#1 resumed 102"),
        (5000, "ami K left 102", ""),
        (5001, "ami K over caller", "#1 completed"),
        (5002, "ami K rings 101", ""),
        (9000, "tick", ""),
    ]);
}

#[test]
fn how_a_call_nobody_took_ended_is_told_apart() {
    let rings = |end: &'static [(u64, &'static str, &'static str)]| {
        let start = [(0, "ami K facts 0501234567", "#1 arrives"), (1, "ami K rings 101", "#1 offered 101")];
        check(&[&start[..], end].concat());
    };
    rings(&[(900, "ami K over caller", "#1 withdrawn 101 (gave up), #1 abandoned")]);
    rings(&[(900, "ami K over pbx", "#1 withdrawn 101 (no answer), #1 unanswered")]);
    rings(&[(900, "ami K over", "#1 withdrawn 101 (stopped), #1 lost")]);
    rings(&[
        (800, "ami K stopped 101 declined", "#1 withdrawn 101 (declined)"),
        (900, "ami K over pbx", "#1 declined"),
    ]);
    rings(&[
        (800, "ami K stopped 101 no-answer", "#1 withdrawn 101 (no answer)"),
        (1800, "ami K rings 101", "#1 offered 101"),
        (1900, "ami K stopped 101 gave-up", "#1 withdrawn 101 (gave up)"),
        (1901, "ami K over caller", "#1 abandoned"),
    ]);
    check(&[(0, "ami K facts 0501234567", "#1 arrives"), (900, "ami K over pbx", "#1 unanswered")]);
}

/// No phone system promises in which order it tells of two lines.
#[test]
fn a_blind_transfer_is_one_call_also_when_the_new_phone_is_told_of_first() {
    let told = |rest: &[(u64, &str, &str)]| {
        let begins = [
            (0, DANA, "#1 arrives, #1 offered 101"),
            (900, "101 busy", "#1 answered 101"),
            (3000, "103 rings 0501234567", ""),
        ];
        check(&[&begins, rest].concat());
    };
    told(&[
        (3020, "101 idle", "#1 left 101 for 103, #1 offered 103 by 101"),
        (4000, "103 busy", "#1 answered 103"),
    ]);
    // Answered before the first phone is told of as silent.
    told(&[
        (3010, "103 busy", ""),
        (3020, "101 idle", "#1 left 101 for 103, #1 offered 103 by 101, #1 answered 103"),
    ]);
    // Another call with the same number, as from a company's trunk.
    told(&[
        (3300, "tick", "#2 arrives, #2 offered 103"),
        (5000, "101 idle", ""),
        (7000, "tick", "#1 completed"),
    ]);
}

#[test]
fn a_blind_transfer_moves_the_call_and_says_who_passed_it_on() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K rings 101", "#1 offered 101"),
        (900, "ami K answered 101", "#1 answered 101"),
        (3000, "ami K left 101 for 103", "#1 left 101 for 103"),
        (3100, "ami K rings 103 by 101", "#1 offered 103 by 101"),
        (4000, "ami K answered 103", "#1 answered 103"),
        (9000, "ami K over caller", "#1 completed"),
    ]);
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (900, "101 busy", "#1 answered 101"),
        (3000, "101 idle", ""),
        (3100, "103 rings 0501234567", "#1 left 101 for 103, #1 offered 103 by 101"),
        (4000, "103 busy", "#1 answered 103"),
        (9000, "103 idle", ""),
        (11000, "tick", "#1 completed"),
    ]);
}

#[test]
fn an_attended_transfer_brings_the_caller_to_the_third_phone() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K rings 101", "#1 offered 101"),
        (900, "ami K answered 101", "#1 answered 101"),
        (2000, "ami K hold 101", "#1 held 101"),
        (2100, "ami L facts 101", "#2 arrives"),
        (2200, "ami L rings 103", "#2 offered 103"),
        (3000, "ami L answered 103", "#2 answered 103"),
        (4000, "ami L joined K", "#1 offered 103 by 101, #1 answered 103, #2 joined into #1"),
        (4001, "ami K left 101 for 103", "#1 left 101 for 103"),
        (4002, "ami L over caller", "#1 completed"),
    ]);
}

#[test]
fn joining_a_call_that_has_just_hung_up_at_the_same_phone_answers_it_once() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K answered 103", "#1 offered 103, #1 answered 103"),
        (900, "ami L facts 101", "#2 arrives"),
        (901, "ami L answered 103", "#2 offered 103, #2 answered 103"),
        (1000, "ami K left 103", ""),
        (1001, "ami L joined K", "#2 joined into #1"),
        (9000, "ami K over caller", "#1 completed"),
    ]);
}

#[test]
fn a_phone_has_no_more_calls_than_a_phone_can_have() {
    let mut story = Story::new();
    for n in 0..200 {
        story.hears(n, &format!("hep H{n} facts 0501{n:06}"));
        story.hears(n, &format!("hep H{n} rings 101"));
    }
    assert_eq!(story.live.len(), 64);
}

#[test]
fn a_phone_that_takes_a_colleagues_call_needs_no_ringing_of_its_own() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K rings 101", "#1 offered 101"),
        (900, "ami K answered 104", "#1 offered 104, #1 answered 104"),
        (901, "ami K stopped 101 elsewhere", "#1 withdrawn 101 (taken by 104)"),
    ]);
}

#[test]
fn all_ways_at_once_tell_one_call() {
    check(&[
        (0, "hep H facts 0501234567", "#1 arrives"),
        (2, "ami K facts 0501234567", ""),
        (3, "ami K queue support", "#1 known"),
        (109, "hep H rings 101", ""),
        (110, "ami K rings 101", "#1 offered 101"),
        (111, DANA, ""),
        (900, "hep H answered 101", ""),
        (901, "ami K answered 101", "#1 answered 101"),
        (902, "101 busy", ""),
        (5000, "101 idle", ""),
        (5001, "hep H over caller", ""),
        (5002, "ami K over caller", "#1 completed"),
        (20_000, "tick", ""),
    ]);
}

#[test]
fn a_line_that_is_behind_does_not_ring_again_what_the_better_informed_way_has_ended() {
    check(&[
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K rings 101", "#1 offered 101"),
        (1, "ami K rings 102", "#1 offered 102"),
        (900, "ami K stopped 101 gave-up", "#1 withdrawn 101 (gave up)"),
        (901, DANA, ""),
        (902, "ami K over caller", "#1 withdrawn 102 (gave up), #1 abandoned"),
        (903, "101 idle", ""),
        (5000, "tick", ""),
    ]);
}

#[test]
fn a_line_that_rings_first_is_the_call_that_is_named_after() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (4, "ami K facts 0501234567", ""),
        (5, "ami K rings 101", ""),
        (900, "101 busy", ""),
        (901, "ami K answered 101", "#1 answered 101"),
    ]);
}

#[test]
fn two_ways_that_know_different_callers_of_one_ringing_phone_tell_one_call_in_the_end() {
    check(&[
        (0, "hep H facts 0501234567", "#1 arrives"),
        (2, "ami K facts 050999", "#2 arrives"),
        (3, "hep H rings 101", "#1 offered 101"),
        (4, "ami K rings 101", "#2 joined into #1"),
        (900, "ami K answered 101", "#1 answered 101"),
    ]);
}

#[test]
fn a_line_waits_for_a_better_informed_way_before_it_makes_a_call_of_its_own() {
    check(&[
        (0, "ami up", ""),
        (0, "ami 101 is idle", ""),
        (0, "ami 102 is idle", ""),
        (10, DANA, ""),
        (12, "ami K facts 050999", "#1 arrives"),
        (13, "ami K rings 101", "#1 offered 101"),
        (400, "tick", ""),
        (5000, "102 rings 0521111111", ""),
        (5300, "tick", "#2 arrives, #2 offered 102"),
        (6000, "102 busy", "#2 answered 102"),
        // Of this line it tells nothing.
        (7000, "103 rings 0523333333", "#3 arrives, #3 offered 103"),
    ]);
}

#[test]
fn an_extension_in_the_ring_group_brings_the_caller_and_lines_tell_the_rest() {
    check(&[
        (0, "shadow S facts 0501234567", "#1 arrives"),
        (100, DANA, "#1 offered 101"),
        (101, "102 rings 0501234567", "#1 offered 102"),
        (900, "102 idle", ""),
        (901, "101 busy", "#1 answered 101, #1 withdrawn 102 (taken by 101)"),
        (902, "shadow S over colleague", ""),
        (5000, "101 idle", ""),
        (7000, "tick", "#1 completed"),
    ]);
    check(&[(0, "shadow S facts 0501234567", "#1 arrives"), (900, "shadow S over caller", "#1 abandoned")]);
    check(&[
        (0, "shadow S facts 0501234567", "#1 arrives"),
        (900, "shadow S over colleague", "#1 completed"),
    ]);
}

#[test]
fn a_withheld_caller_stays_withheld_whoever_knows_the_number() {
    let mut story = Story::new();
    story.hears(0, "hep H facts withheld");
    story.hears(1, "ami K facts withheld");
    story.hears(2, "ami K rings 101");
    story.hears(3, "ami K facts 0501234567");
    let live = story.live.values().next().expect("a call");
    assert_eq!(live.facts().caller, caller("withheld"));
}

#[test]
fn what_a_way_knew_is_given_up_when_it_stays_away_and_over_when_it_comes_back_without_it() {
    let started = [
        (0, "ami K facts 0501234567", "#1 arrives"),
        (1, "ami K rings 101", "#1 offered 101"),
        (900, "ami K answered 101", "#1 answered 101"),
        (1000, "ami L facts 0521111111", "#2 arrives"),
        (1001, "ami L rings 102", "#2 offered 102"),
        (2000, "ami down", ""),
    ];
    let away = [(121_999, "tick", ""), (122_000, "tick", "#1 lost, #2 withdrawn 102 (stopped), #2 lost")];
    check(&[&started[..], &away].concat());
    let back = [
        (4000, "ami K facts 0501234567", ""),
        (4001, "ami K answered 101", ""),
        (4002, "ami up K", "#2 withdrawn 102 (stopped), #2 lost"),
        (9000, "ami K over caller", "#1 completed"),
    ];
    check(&[&started[..], &back].concat());
}

#[test]
fn lines_tell_how_a_call_goes_on_while_the_way_that_named_it_is_away() {
    check(&[
        (0, "101 idle", ""),
        (0, "102 idle", ""),
        (1, "ami K facts 0501234567", "#1 arrives"),
        (2, "ami K rings 101", "#1 offered 101"),
        (3, "ami K rings 102", "#1 offered 102"),
        (4, DANA, ""),
        (5, "102 rings 0501234567", ""),
        (500, "ami down", ""),
        (900, "101 busy", "#1 answered 101"),
        (901, "102 idle", "#1 withdrawn 102 (taken by 101)"),
        (5000, "101 idle", ""),
        (7000, "tick", "#1 completed"),
    ]);
}

#[test]
fn a_line_that_is_idle_for_long_is_believed_against_a_way_that_lost_a_message() {
    check(&[
        (0, "hep H facts 0501234567", "#1 arrives"),
        (1, "hep H rings 101", "#1 offered 101"),
        (2, DANA, ""),
        (900, "hep H answered 101", "#1 answered 101"),
        (901, "101 busy", ""),
        (5000, "101 idle", ""),
        (9999, "tick", ""),
        (10_000, "tick", "#1 left 101, #1 completed"),
    ]);
}
