//! Starts that wait for a disk before they are carried out: their time begins when they are.

use super::story::{EVAL, ONE, Story, ten};

#[test]
fn a_server_whose_start_waits_is_not_given_up() {
    let mut story = Story::new(ONE);
    story.begin(&[], &[]).skip();
    for _ in 0..20 {
        story.secs(590);
    }
    assert_eq!(
        story.told(),
        "",
        "it has 10 minutes, and waited for 3 hours"
    );
    story.launched("a").secs(590);
    assert!(!story.told().contains("stop"));
    story.secs(20);
    assert!(story.told().contains("a #1 stop intended: NotReady"));
}

#[test]
fn a_client_whose_start_waits_is_not_silent() {
    let mut story = Story::new(EVAL);
    story.begin(&[], &[("e", ten(0, 0))]).comes_up("a");
    story.prepared("e", ten(0, 0));
    for _ in 0..5 {
        story.secs(590).counted("e", ten(0, 0));
    }
    story.client_runs("e");
    assert!(!story.told().contains("stop"));
    for _ in 0..2 {
        story.secs(305).counted("e", ten(0, 0));
    }
    assert!(story.told().contains("eval-e #1 stop intended: NoProgress"));
}
