//! The library of answers over the wire: searched, listed, read, and what is asked wrongly.

use super::*;

#[tokio::test]
async fn the_library_answers_in_the_language_of_the_question() {
    let fixture = fixture().await;
    let wire = Wire(fixture.handle.addr);
    for (query, entry, language) in [
        (
            "q=%E9%80%80%E6%AC%BE%E4%BB%80%E4%B9%88%E6%97%B6%E5%80%99%E5%88%B0%E8%B4%A6&scenario=ecommerce-returns",
            "refund-when",
            "zh",
        ),
        ("q=when+do+I+get+my+refund&scenario=ecommerce-returns", "refund-when", "en"),
        ("q=I+missed+my+connecting+flight", "missed-connection", "en"),
    ] {
        let found = wire.ask_with_token("GET", &format!("/v1/knowledge?{query}")).await.json();
        let best = &found["found"][0];
        assert_eq!((&best["entry"], &best["language"]), (&entry.into(), &language.into()), "{found}");
        assert_eq!(best["suggested"], true, "{found}");
        assert!(found["found"].as_array().is_some_and(|found| found.len() <= 3), "{found}");
    }
    let listed = wire.ask_with_token("GET", "/v1/knowledge?scenario=itinerary&limit=4").await.json();
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(4), "{listed}");
    let one = wire.ask_with_token("GET", "/v1/knowledge/refund-when").await.json();
    assert_eq!((&one["file"], &one["expired"]), (&"ecommerce".into(), &false.into()), "{one}");
    assert_eq!(one["languages"]["zh"]["questions"][0], "退款什么时候到账", "{one}");
    problem(&wire.ask_with_token("GET", "/v1/knowledge/nothing").await, 404);
    for wrong in ["q=", "q=a&lang=fr", "q=a&limit=0", "q=a&limit=21", "query=a", &format!("q={}", "a".repeat(501))] {
        problem(&wire.ask_with_token("GET", &format!("/v1/knowledge?{wrong}")).await, 400);
    }
}
