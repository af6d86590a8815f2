//! Whose pages may stand around ours.

use super::*;

#[tokio::test]
async fn only_named_pages_show_the_agents_page_in_a_frame_and_none_another() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    let head = async |path: &str| wire.ask("GET", path, "").await.head.to_ascii_lowercase();
    if !head("/agent").await.starts_with("http/1.1 200") {
        return skipped();
    }
    let is_for_nobody = |head: &str| head.contains("frame-ancestors 'none'") && head.contains("x-frame-options: deny");
    for path in ["/", "/agent"] {
        let found = head(path).await;
        assert!(is_for_nobody(&found), "{path}: {found}");
    }
    let frame_ancestors = vec!["https://crm.example".to_owned(), "https://desk.example:8443".to_owned()];
    let live = options(fixture.handle.addr).live;
    fixture.handle.exchange(LiveOptions { frame_ancestors, ..live }).expect("random numbers");
    let found = head("/agent").await;
    assert!(found.contains("frame-ancestors https://crm.example https://desk.example:8443"), "{found}");
    assert!(!found.contains("x-frame-options"), "{found}");
    let found = head("/").await;
    assert!(is_for_nobody(&found), "{found}");
}

#[expect(clippy::print_stderr, reason = "a skipped test has to be seen")]
fn skipped() {
    eprintln!("skipped: the console is not built (scripts/build-console)");
}
