//! Metadata as RFC 7865 has it, and as clients of other ages write it. All documents here are our own.

use super::super::recording::Recording;
use super::*;

/// RFC 7865, complete: two participants, each in a stream of its own.
const COMPLETE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <group group_id="g1"><associate-time>2026-01-05T09:00:00Z</associate-time>
    <call-center xmlns="urn:example:callcenter"><queue>gold</queue></call-center></group>
  <session session_id="c1"><group-ref>g1</group-ref><sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=1</sipSessionID>
    <start-time>2026-01-05T09:00:00Z</start-time></session>
  <participant participant_id="p1"><nameID aor="sip:+8613800000000@carrier.example"><name xml:lang="zh">王芳</name></nameID></participant>
  <participant participant_id="p2"><nameID aor="sip:7001@pbx.example"><name>Agent &quot;7001&quot;</name></nameID>
    <ext:skill xmlns:ext="urn:example:skill">billing</ext:skill></participant>
  <stream stream_id="s1" session_id="c1"><label>96</label></stream>
  <stream stream_id="s2" session_id="c1"><label>97</label></stream>
  <sessionrecordingassoc session_id="c1"><associate-time>2026-01-05T09:00:00Z</associate-time></sessionrecordingassoc>
  <participantsessionassoc participant_id="p1" session_id="c1"><associate-time>2026-01-05T09:00:00Z</associate-time></participantsessionassoc>
  <participantsessionassoc participant_id="p2" session_id="c1"><associate-time>2026-01-05T09:00:00Z</associate-time></participantsessionassoc>
  <participantstreamassoc participant_id="p1"><send>s1</send><recv>s2</recv></participantstreamassoc>
  <participantstreamassoc participant_id="p2"><send>s2</send><recv>s1</recv></participantstreamassoc>
</recording>"#;

#[test]
fn a_complete_document() {
    check(
        &[COMPLETE],
        "sessions c1
        96: sip:+8613800000000@carrier.example 王芳
        97: sip:7001@pbx.example Agent \"7001\" skill=billing
        queue=gold",
    );
}

#[test]
fn a_partial_document_changes_what_it_names() {
    // The agent puts the caller through: 7002 comes, 7001 goes.
    let transfer = r#"<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>partial</datamode>
        <participant participant_id="p3"><nameID aor="sip:7002@pbx.example"/></participant>
        <stream stream_id="s3" session_id="c1"><label>98</label></stream>
        <participantsessionassoc participant_id="p2" session_id="c1"><associate-time>2026-01-05T09:00:00Z</associate-time>
            <disassociate-time>2026-01-05T09:01:00Z</disassociate-time></participantsessionassoc>
        <participantstreamassoc participant_id="p3"><send>s3</send><recv>s1</recv></participantstreamassoc></recording>"#;
    check(
        &[COMPLETE, transfer],
        "sessions c1
        96: sip:+8613800000000@carrier.example 王芳
        98: sip:7002@pbx.example
        queue=gold",
    );
    // Nobody speaks in a stream any more, and the session ends.
    let end = r#"<recording><dataMode>Partial</dataMode><session session_id="c1"><stop-time>2026-01-05T09:02:00Z</stop-time></session>
        <participantstreamassoc participant_id="p1"><send>s1</send><disassociate-time>2026-01-05T09:02:00Z</disassociate-time></participantstreamassoc>
        </recording>"#;
    check(
        &[COMPLETE, end],
        "sessions c1 over
        97: sip:7001@pbx.example Agent \"7001\" skill=billing
        queue=gold",
    );
}

#[test]
fn a_complete_document_replaces_what_was_known() {
    let other = "<recording><session session_id='c2'/></recording>";
    check(&[COMPLETE, other], "sessions c2");
}

#[test]
fn an_early_draft_names_streams_inside_participants() {
    let draft = r#"<?xml version='1.0'?><recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>complete</datamode>
        <session id="c=="><associate-time>2026-01-05T09:00:00</associate-time></session>
        <participant id="p1==" session="c=="><nameID aor="sip:9000@192.0.2.9"><name>9000</name></nameID><send>s1==</send>
            <extensiondata xmlns:v="urn:example:vendor"><v:callingParty>true</v:callingParty></extensiondata></participant>
        <participant id="p2==" session="c=="><nameID aor="sip:1002@192.0.2.10"/><send>s2==</send></participant>
        <stream id="s1==" session="c=="><label>16777227</label><mode>separate</mode></stream>
        <stream id="s2==" session="c=="><label>16777228</label><mode>mixed</mode></stream></recording>"#;
    check(
        &[draft],
        "sessions c==
        16777227: sip:9000@192.0.2.9 9000 callingParty=true
        16777228: sip:1002@192.0.2.10 (mixed)",
    );
}

#[test]
fn broadworks_has_names_of_its_own() {
    let broadworks = r#"<recording_metadata xmlns="urn:ietf:params:xml:ns:siprec"><dataMode>complete</dataMode>
        <recording id="r1"><requestor>SRC</requestor><type>selective</type></recording>
        <session id="c1" group="g1"><start-time>2026-01-05T09:00:00-05:00</start-time></session>
        <participant id="p1" session="c1"><aor>sip:+15550100@192.0.2.9;user=phone</aor><name>Lee</name><send><id>s1</id></send></participant>
        <participant id="p2" session="c1"><aor>sip:7001@company.example</aor><send><id>s2</id></send></participant>
        <stream id="s1" session="c1"><label>1</label><mode>separate</mode></stream>
        <stream id="s2" session="c1"><label>2</label><mode>separate</mode></stream>
        <extensiondata id="x1" parent="c1"><broadWorksRecordingMetadata xmlns="urn:example"><callType><origCall>
            <callingPartyNumber>sip:+15550100@192.0.2.9</callingPartyNumber></origCall></callType></broadWorksRecordingMetadata>
        </extensiondata></recording_metadata>"#;
    check(
        &[broadworks],
        "sessions c1
        1: sip:+15550100@192.0.2.9;user=phone Lee
        2: sip:7001@company.example
        requestor=SRC type=selective callingPartyNumber=sip:+15550100@192.0.2.9",
    );
}

#[test]
fn documents_without_streams_or_associations_are_good() {
    check(&["\u{feff} \n<recording><participant participant_id='p'/><stream stream_id='s'/></recording>"], "sessions");
    check(&["<recording/>"], "sessions");
}

#[test]
fn there_are_bounds() {
    let many: String = (0..99).map(|n| format!("<participant participant_id='{n}'/>")).collect();
    let metadata = Metadata::parse(&format!("<recording>{many}</recording>")).expect("readable");
    assert_eq!(metadata.participants.len(), ENTRIES_MAX);
    let long = format!("<recording><session session_id='{}'/></recording>", "x".repeat(9_999));
    assert_eq!(Metadata::parse(&long).expect("readable").sessions[0].id.len(), CHARS_MAX);
    // Partial documents cannot add without end either.
    let mut recording = Recording::default();
    for number in 0..99 {
        let text = format!(
            "<recording><datamode>partial</datamode><participant participant_id='{number}'/><session session_id='{number}'/></recording>"
        );
        recording.apply(Metadata::parse(&text).expect("readable"));
    }
    assert_eq!((recording.participants().len(), recording.sessions().len()), (ENTRIES_MAX, ENTRIES_MAX));
}

#[test]
fn other_xml_is_refused() {
    let error = Metadata::parse("<html/>").expect_err("no metadata");
    assert_eq!(error.to_string(), "expected <recording>, found <html>");
}

/// Applies documents in order; what is known then, in words.
#[track_caller]
fn check(documents: &[&str], expected: &str) {
    let mut recording = Recording::default();
    let mut labels: Vec<String> = Vec::new();
    for text in documents {
        let metadata = Metadata::parse(text).expect("readable");
        labels.extend(metadata.streams.iter().filter_map(|stream| stream.label.clone()));
        recording.apply(metadata);
    }
    labels.sort();
    let sessions = recording.sessions().iter().map(|session| format!(" {}", session.id)).collect::<String>();
    let mut lines = vec![format!("sessions{sessions}{}", if recording.is_over() { " over" } else { "" })];
    for label in labels {
        let mut speakers = recording.speakers(&label).peekable();
        if speakers.peek().is_none() {
            continue;
        }
        let mut line = format!("{label}:");
        for speaker in speakers {
            for name in &speaker.names {
                line += &format!(" {}", name.address);
                line += &name.name.as_ref().map_or(String::new(), |name| format!(" {name}"));
            }
            line += &speaker.extensions.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
        }
        line += if recording.is_mixed(&label) == Some(true) { " (mixed)" } else { "" };
        lines.push(line);
    }
    let extensions: Vec<String> =
        recording.extensions().iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.extend((!extensions.is_empty()).then(|| extensions.join(" ")));
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(lines, expected);
}
