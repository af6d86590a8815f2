//! Pictures of made-up calls: complete, well-formed, bounded, without surprises from bad figures.

use super::*;

#[test]
fn everything_is_there_as_text() {
    let svg = draw(&angry_call()).expect("a call can be drawn");
    keep_for_the_eye("angry", &svg);
    for words in [
        "angry-caller",
        "Waveform (share of full scale)",
        "Pitch F0 (Hz)",
        "Level (dBov)",
        "Anger of the caller",
        "time since the call’s start",
        ">\nmedium\n",
        ">\nhigh\n",
        "decided angry-caller: prompt, re-route",
        "客户情绪激动",
    ] {
        assert!(svg.contains(words), "no {words:?} in the picture");
    }
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg, draw(&angry_call()).expect("a call can be drawn"), "not the same twice");
}

#[test]
fn words_cannot_break_the_picture() {
    let call = CallPicture {
        title: "<script>alert(1)</script> & \"x\"".to_owned(),
        duration_s: 10.0,
        marks: vec![(1.0, "</svg><b>".to_owned())],
        ..CallPicture::default()
    };
    let svg = draw(&call).expect("a call can be drawn");
    assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    assert_eq!(svg.matches("</svg>").count(), 1);
}

#[test]
fn bad_figures_are_left_out() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1e30, 1e30];
    let call = CallPicture {
        title: String::new(),
        duration_s: 5.0,
        envelope: odd.iter().flat_map(|&v| [(v, v, v), (1.0, v, v)]).collect(),
        pitch: odd.iter().flat_map(|&v| [(v, Some(v)), (1.0, Some(v)), (v, None)]).collect(),
        level: odd.iter().flat_map(|&v| [(v, v), (1.0, v)]).collect(),
        anger: odd.iter().flat_map(|&v| [(v, v, Level::High), (1.0, v, Level::Medium)]).collect(),
        marks: odd.iter().map(|&v| (v, "odd".to_owned())).collect(),
    };
    let svg = draw(&call).expect("a call can be drawn");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    for duration_s in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(draw(&CallPicture { duration_s, ..CallPicture::default() }).is_err());
    }
}

#[test]
fn an_hour_is_no_larger_than_a_page() {
    let seconds = 3_600.0;
    let steps = |per_s: usize| (0..3_600 * per_s).map(move |index| index as f32 / per_s as f32);
    let call = CallPicture {
        title: "an hour".to_owned(),
        duration_s: seconds,
        envelope: steps(50).map(|time| (time, -0.2, 0.2)).collect(),
        pitch: steps(100).map(|time| (time, (time % 2.0 < 1.0).then_some(120.0))).collect(),
        level: steps(100).map(|time| (time, -30.0)).collect(),
        anger: steps(2).map(|time| (time, 0.2, Level::Low)).collect(),
        marks: steps(1).map(|time| (time, "mark".to_owned())).collect(),
    };
    let svg = draw(&call).expect("a call can be drawn");
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
}

/// A call like the demonstration's: calm until 15.8 s, then louder and higher.
fn angry_call() -> CallPicture {
    let lines = [(3.1, 9.3), (12.3, 15.4), (15.8, 18.2), (18.6, 21.1), (21.5, 24.0), (24.5, 26.5), (27.0, 28.6)];
    let speaks = |time: f32| lines.iter().any(|&(from, to)| (from..to).contains(&time));
    let loud = |time: f32| if time > 15.8 { 0.55 } else { 0.2 };
    let hops = || (0..2_950).map(|hop| hop as f32 / 100.0);
    let wave = |time: f32| {
        if speaks(time) { loud(time) * (0.4 + 0.6 * (time * 9.0).sin().abs()) } else { 0.001 }
    };
    let pitch = |time: f32| {
        let base = if time > 15.8 { 157.0 } else { 113.0 };
        (speaks(time) && (time * 4.2).fract() > 0.3).then_some(base * (1.0 + 0.18 * (time * 7.0).sin()))
    };
    let anger = |time: f32| if time < 16.3 { 0.12 } else { (0.12 + (time - 16.3) * 0.2).min(0.93) };
    let band = |score: f32| match score {
        s if s > 0.7 => Level::High,
        s if s > 0.4 => Level::Medium,
        _ => Level::Low,
    };
    CallPicture {
        title: "angry-caller: caller to bot, then human".to_owned(),
        duration_s: 29.5,
        envelope: hops().map(|time| (time, -0.8 * wave(time), wave(time))).collect(),
        pitch: hops().map(|time| (time, pitch(time))).collect(),
        level: hops().map(|time| (time, 20.0 * wave(time).log10() - 6.0)).collect(),
        anger: (6..59).map(|step| step as f32 / 2.0).map(|time| (time, anger(time), band(anger(time)))).collect(),
        marks: vec![
            (0.2, "answered by bot".to_owned()),
            (19.5, "decided angry-caller: prompt, re-route".to_owned()),
            (19.53, "prompt sorry-transfer.wav".to_owned()),
            (19.55, "alert critical: 客户情绪激动".to_owned()),
            (21.4, "re-routed to human (gap 18 ms)".to_owned()),
            (28.9, "call ended: caller hung up".to_owned()),
        ],
    }
}

/// With `CALMLINE_PICTURES` set to a folder, leaves the picture there to be looked at.
fn keep_for_the_eye(name: &str, svg: &str) {
    if let Ok(folder) = std::env::var("CALMLINE_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.svg")), svg).expect("the folder exists");
    }
}
