//! Bodies of recording clients: what those of several makers look like, with descriptions that lead to us.
//!
//! Those of Oracle (Acme), BroadWorks and an OpenSIPS of a carrier are also read from captures, where those are at hand.

/// A body and its Content-Type.
pub struct Body {
    pub name: &'static str,
    pub media_type: &'static str,
    pub text: String,
    /// What is told of the parties.
    pub parties: &'static [(&'static str, &'static str)],
    /// How the sides were told.
    pub told_by: &'static str,
    /// How many streams it offers that we take.
    pub streams: usize,
}

const BOUNDARY: &str = "boundary-1";

/// A description of two streams with these labels.
pub fn description(labels: [&str; 2], direction: &str) -> String {
    let [first, second] = labels;
    format!(
        "v=0\r\no=- 20076 595552 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio 40106 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=label:{first}\r\na={direction}\r\n\
         m=audio 40110 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=maxptime:150\r\na=label:{second}\r\na={direction}\r\n"
    )
}

/// Parts in this order, each with its headers.
pub fn multipart(parts: &[(&str, &str)]) -> String {
    let part = |(headers, content): &(&str, &str)| format!("--{BOUNDARY}\r\n{headers}\r\n\r\n{content}\r\n");
    format!("{}--{BOUNDARY}--\r\n", parts.iter().map(part).collect::<String>())
}

/// Metadata by RFC 7865 as OpenSIPS and Sonus write it.
pub fn metadata(mode: &str, agent: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns='urn:ietf:params:xml:ns:recording:1'>
 <datamode>{mode}</datamode>
 <group group_id="g1"><associate-time>2026-01-01T00:00:00Z</associate-time></group>
 <session session_id="cs1"><sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2</sipSessionID><group-ref>g1</group-ref></session>
 <participant participant_id="agent"><nameID aor="sip:{agent}@pbx.example"><name xml:lang="en">Agent</name></nameID></participant>
 <participant participant_id="caller"><nameID aor="sip:13800138000@carrier.example"><name>Li</name></nameID></participant>
 <stream stream_id="s1" session_id="cs1"><label>96</label></stream>
 <stream stream_id="s2" session_id="cs1"><label>97</label></stream>
 <participantstreamassoc participant_id="agent"><send>s1</send><recv>s2</recv></participantstreamassoc>
 <participantstreamassoc participant_id="caller"><send>s2</send><recv>s1</recv></participantstreamassoc>
</recording>"#
    )
}

const SDP: &str = "Content-Type: application/sdp";
const XML: &str = "Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session";

/// A body for each way in which they are written.
pub fn all() -> Vec<Body> {
    let standard = metadata("complete", "7001");
    let sdp = description(["96", "97"], "sendonly");
    let agents: &[(&str, &str)] = &[("caller", "sip:13800138000@carrier.example"), ("callee", "sip:7001@pbx.example")];
    let two = |name, media_type, text| Body { name, media_type, text, parties: agents, told_by: "agents", streams: 2 };
    vec![
        two("opensips", "multipart/mixed;boundary=boundary-1", multipart(&[(SDP, &sdp), (XML, &standard)])),
        two("sonus", "multipart/mixed;boundary=boundary-1", multipart(&[(XML, &standard), (SDP, &sdp)])),
        two(
            "avaya",
            "multipart/mixed; charset=\"utf-8\"; boundary=\"boundary-1\"",
            multipart(&[
                ("Content-Type: application/sdp\r\nContent-Disposition: session;handling=required", &sdp),
                ("Content-Type:application/rs-metadata\r\nContent-Disposition:recording-session", &standard),
            ]),
        ),
        acme(),
        broadworks(),
    ]
}

/// As Oracle's session border controllers write it: a draft of the metadata, and who called in an extension.
fn acme() -> Body {
    let participant = |id: &str, aor: &str, stream: &str, calls: bool| {
        format!(
            "<participant id=\"{id}\" session=\"AavR==\"><nameID aor=\"{aor}\"><name>{id}</name></nameID><send>{stream}</send>\
             <extensiondata xmlns:apkt=\"http://acmepacket.com/siprec/extensiondata\"><apkt:callingParty>{calls}</apkt:callingParty>\
             </extensiondata></participant>"
        )
    };
    let stream = |id: &str, label: &str| {
        format!("<stream id=\"{id}\" session=\"AavR==\"><label>{label}</label><mode>separate</mode></stream>")
    };
    let xml = format!(
        "<?xml version='1.0' encoding='UTF-8'?><recording xmlns='urn:ietf:params:xml:ns:recording'><datamode>complete</datamode>\
         <session id=\"AavR==\"><associate-time>2026-03-09T16:50:20</associate-time></session>{}{}{}{}</recording>",
        participant("a", "sip:9000@192.0.2.102", "Q4O8==", false),
        participant("b", "sip:1002@192.0.2.10", "l1Ny==", true),
        stream("Q4O8==", "16777227"),
        stream("l1Ny==", "16777228")
    );
    let sdp = description(["16777227", "16777228"], "sendonly");
    Body {
        name: "acme",
        media_type: "multipart/mixed; boundary=\"boundary-1\"",
        text: multipart(&[(SDP, &sdp), (XML, &xml)]),
        parties: &[("caller", "sip:1002@192.0.2.10"), ("callee", "sip:9000@192.0.2.102")],
        told_by: "metadata",
        streams: 2,
    }
}

/// As BroadWorks writes it: metadata first, of an own kind, one stream in which all are mixed, many codecs.
fn broadworks() -> Body {
    let xml = "<recording_metadata xmlns=\"urn:ietf:params:xml:ns:siprec\"><dataMode>complete</dataMode>\
        <participant id=\"src\" session=\"s\"><aor>sip:7001@pbx.example</aor><name>Agent</name><send><id>1</id></send></participant>\
        <stream id=\"1\" session=\"s\"><label>1</label><mode>mixed</mode></stream>\
        <callingPartyNumber>sip:+8613800138000@pbx.example;user=phone</callingPartyNumber></recording_metadata>";
    let sdp = "v=0\r\no=BroadWorks 170535024 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        m=audio 42294 RTP/AVP 0 8 101 9 18\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:18 G729/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\na=label:1\r\n";
    Body {
        name: "broadworks",
        media_type: "multipart/mixed;boundary=boundary-1",
        text: multipart(&[
            (
                "Content-Type:application/rs-metadata+xml\r\nContent-Disposition:recording-session\r\nContent-Length:400",
                xml,
            ),
            (SDP, sdp),
        ]),
        parties: &[],
        told_by: "agents",
        streams: 1,
    }
}
