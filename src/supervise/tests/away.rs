//! The controller stood still: nothing is taken for late that nobody could see.

use insta::assert_snapshot;

use super::story::{EVAL, ONE, Story, ten};
use crate::base::Millis;
use crate::facts::Door;
use crate::supervise::Input;

/// The controller is stopped for an hour and goes on.
fn away(story: &mut Story) -> &mut Story {
    let length = Millis::from_secs(3600);
    story.now = story.now + length;
    story.feed(Input::Away { length })
}

#[test]
fn a_server_on_its_way_keeps_its_time_to_be_ready() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).launched("a").secs(60);
    away(&mut story).skip();
    story.secs(500);
    assert_eq!(story.told(), "", "it has 10 minutes, of which 560 s passed");
    story.secs(60);
    assert_snapshot!(story.told(), @r"
        1h 10m a #1 stop intended: NotReady
        1h 10m -> stop a #1
        ");
}

#[test]
fn a_client_is_not_taken_for_stalled() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e");
    story.secs(1).counted("e", ten(4, 0)).skip();
    away(&mut story);
    story
        .counted("e", ten(4, 0))
        .secs(1700)
        .counted("e", ten(4, 0));
    assert_snapshot!(story.told(), @r"
        1h 00m owner away for 1h 00m
        1h 00m -> count e
        ");
    story.secs(200).counted("e", ten(4, 0));
    assert_snapshot!(story.told(), @r"
    1h 28m -> count e
    1h 31m alarm stalled: `e` has stalled: no result, no output and no token of any server for 30m 00s
    1h 31m eval-e #1 stop intended: NoProgress
    1h 31m -> stop eval-e #1
    ");
}

#[test]
fn a_server_that_was_out_of_reach_is_told_to_be_back() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story.prepared("e", ten(0, 0)).client_runs("e").skip();
    let silent = Door::Unreached("no answer".to_owned());
    story.secs(5).looked("a", silent, None);
    away(&mut story);
    story.secs(5).looked("a", Door::Answers, None);
    assert_snapshot!(story.told(), @r"
       1.0s -> count e
       5.0s alarm out-of-reach: `a` does not answer, and its node cannot be asked: no answer; it is neither stopped nor started
       5.0s a #1 Unreached: no answer
     1h 00m owner away for 1h 00m
     1h 00m a #1 Well: it is within reach again
    ");
}
