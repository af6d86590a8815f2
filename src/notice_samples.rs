//! One notice of every kind, as one call would make them; for tests of everything that reads notices.

use std::collections::BTreeMap;

use crate::notice::{
    Advice, AlertDeed, AlertEscalated, AnswerFound, Breach, Delivery, ExpressionSeen, ForkedParty, GroupTurn,
    LanguageHeard, LegQuality, LegReport, LoadReason, Notice, Outcome, PhraseHeard, PriorityChange, ScenarioTurn,
    ServedAs, Tags, TicketAsked, TurnTaking, What, WordFound, WordsRead,
};
use crate::web::Moment;

/// All kinds; all belong to `call-1` except those that were never up, and what is about the whole server.
pub(crate) fn one_of_each() -> Vec<Notice> {
    let mut call_ms = 0;
    whats()
        .into_iter()
        .map(|what| {
            let call = match what {
                What::CallRefused { .. } | What::CallRedirected { .. } => "call-0",
                What::LoadChanged { .. } | What::ScenarioTurned(_) | What::GroupTurned(_) => "",
                _ => "call-1",
            };
            let notice = Notice { call: call.to_owned(), call_ms, what };
            call_ms += 1_000;
            notice
        })
        .collect()
}

fn whats() -> Vec<What> {
    let mut whats = early();
    whats.extend(late());
    whats.extend(watched());
    whats.extend(conversed());
    whats.extend(written());
    whats.extend(done());
    whats
}

fn early() -> Vec<What> {
    vec![
        What::CallStarted {
            from: "\"Li\" <sip:13800138000@pbx.example>".into(),
            to: "<sip:4001@calmline.example>".into(),
            route: "after-sales".into(),
            scenario: "after-sales".into(),
            tags: Tags {
                tenant: Some("shop".into()),
                purpose: Some("service-quality".into()),
                region: Some("cn".into()),
            },
        },
        What::CallRefused { code: 503, reason: "call limit".into() },
        What::CallAnswered {
            target: "bot".into(),
            setup_ms: 120,
            uncalled: false,
            groups: vec!["wording: treatment".into()],
        },
        observed(),
        What::Decided {
            rule: "angry-caller".into(),
            policy: "after-sales@3".into(),
            emotion: "anger".into(),
            level: "high".into(),
            score: 0.875,
            lasted_ms: 1_500,
            failure: None,
            keys: None,
            interruptions: None,
            said: None,
            facts: vec!["order.state = delayed".into()],
            group: Some("wording: treatment".into()),
            actions: vec!["prompt sorry-transfer.wav".into(), "reroute bridge human".into()],
        },
        What::PromptStarted { file: "sorry-transfer.wav".into(), party: "caller".into(), prompt: 7, reaction_ms: 40 },
    ]
}

fn observed() -> What {
    What::Observed {
        party: "caller".into(),
        audio_ms: 12_500,
        emotion: "anger".into(),
        level: "high".into(),
        anger: 0.875,
        trend_per_s: 0.25,
        pitch_hz: 262.5,
        pitch_z: 2.5,
        level_dbov: -16.5,
        level_z: 3.25,
        syllables_per_s: 6.5,
        rate_z: 1.5,
        source: "model".into(),
        words: Some(Box::new(WordsRead {
            audio_ms: 11_240,
            until_ms: 12_100,
            emotion: "anger".into(),
            anger: 0.875,
            confidence: 0.75,
            reliability: 0.5,
            source: "model".into(),
            found: vec![WordFound { word: "投诉".into(), category: "complaint".into(), negated: false }],
            intents: vec!["complaint".into()],
        })),
        expression: Some(ExpressionSeen {
            audio_ms: 11_500,
            label: "anger".into(),
            score: 0.75,
            source: "face".into(),
        }),
        delivery: Some(Delivery {
            speaking_rate: 5.5,
            articulation_rate: 6.25,
            pause_share: 0.125,
            snr_db: Some(24.5),
            lost_share: 0.03125,
            clipped_share: 0.0,
            pitch_z: 2.25,
            loudness_z: 3.0,
            jitter_z: -0.5,
            shimmer_z: -0.25,
            harmonicity_z: 1.0,
            alpha_ratio_z: 2.0,
            level_z: 3.25,
        }),
        turns: Some(TurnTaking {
            speech_ms: 8_250,
            overlap_ms: 1_500,
            turns: 4,
            interruptions: 1,
            latency_ms: Some(350),
        }),
        scores: [("jitterLocal".to_owned(), -0.5), ("level".to_owned(), 3.25)].into(),
        functionals: [("loudness_sma3_amean".to_owned(), 1.5)].into(),
    }
}

fn late() -> Vec<What> {
    vec![
        What::PromptEnded { file: "sorry-transfer.wav".into(), party: "caller".into(), prompt: 7, completed: true },
        What::PromptFailed {
            file: "missing.wav".into(),
            party: "callee".into(),
            prompt: 8,
            reason: "no such file".into(),
        },
        What::RerouteStarted { via: "bridge".into(), target: "human".into() },
        What::Rerouted { via: "bridge".into(), target: "human".into(), answer_ms: 850, gap_ms: Some(18) },
        What::Alert {
            severity: "critical".into(),
            text: "angry caller".into(),
            rule: "angry-caller".into(),
            pbx_call: None,
        },
        What::RerouteFailed { via: "refer".into(), target: "desk".into(), reason: "486 Busy Here".into() },
        What::KeyPressed { party: "caller".into(), key: "5".into(), way: "event".into() },
        What::SecureInput { on: true },
        What::HandshakeDone { party: "caller".into(), suite: "AEAD_AES_128_GCM".into(), took_ms: 35 },
        What::HandshakeFailed {
            party: "callee".into(),
            failure: "wrong_certificate".into(),
            reason: "the far end's certificate is not the one of its fingerprint".into(),
        },
        What::CodecAsked { party: "caller".into(), codec: "PCMA".into(), outcome: "accepted".into() },
        What::CallRedirected { target: "human".into(), reason: "angry in the last call".into() },
        What::BypassFailed { reason: "one of the sides is on hold".into(), by: "drain".into() },
        What::Bypassed { took_ms: 45, by: "operator".into() },
        What::BypassEnded { reason: "the overload is over".into(), took_ms: 50, by: "overload".into() },
        What::PbxDone { pbx: "crm".into() },
        What::PbxFailed { pbx: "asterisk".into(), reason: "No such channel".into() },
        What::LegEnded(LegReport {
            party: "caller".into(),
            name: "caller".into(),
            codec: "PCMA".into(),
            clock_hz: 0,
            packets_received: 3_075,
            packets_sent: 3_070,
            packets_lost: 3,
            concealed_ms: 1_060,
            underruns: 2,
            unauthentic: 0,
            quality: LegQuality {
                mos_listening: Some(4.375),
                mos_conversational: Some(4.25),
                mos_reported: Some(4.375),
                r_factor: Some(91.5),
                round_trip_ms: Some(42.5),
                delay_ms: Some(81.25),
                jitter_received_ms: Some(1.5),
                jitter_reported_ms: Some(0.75),
                loss_received: Some(0.001),
                loss_reported: Some(0.0),
                discarded_received: Some(0.0),
                discarded_reported: None,
                burst_ratio: Some(1.0),
            },
        }),
    ]
}

fn watched() -> Vec<What> {
    vec![
        What::CallForked {
            source: "siprec".into(),
            again: false,
            pbx_call: Some("2d8abbf0@pbx.example".into()),
            told_by: Some("metadata".into()),
            parties: vec![ForkedParty {
                party: "caller".into(),
                addresses: vec!["sip:13800138000@pbx.example".into()],
                name: Some("Li".into()),
            }],
            details: BTreeMap::from([("ucid".to_owned(), "000123".to_owned())]).into(),
        },
        What::ForkPaused { on: true },
        What::SupervisorCalled {
            supervisor: 1,
            target: "floor".into(),
            mode: "whisper".into(),
            party: Some("callee".into()),
            hears: "both".into(),
        },
        What::SupervisorJoined { supervisor: 1, answer_ms: 2_400 },
        What::SupervisorChanged { supervisor: 1, mode: "barge".into(), party: None, hears: "caller".into() },
        What::SupervisorLeft { supervisor: 1, reason: "BYE received".into() },
        What::SupervisorFailed { supervisor: 2, reason: "486 Busy Here".into() },
        What::AudioOpened { client: 1, layout: "stereo".into() },
        What::AudioMissed { client: 1, missed_ms: 1_240 },
        What::AudioClosed { client: 1, lasted_ms: 30_000 },
        What::LoadChanged {
            load: "overloaded".into(),
            was: "sparing".into(),
            by: Some(LoadReason { measure: "late_ms".into(), value: 30.0 }),
        },
    ]
}

fn conversed() -> Vec<What> {
    vec![
        What::Interrupted { party: "caller".into(), times: 2 },
        What::FactsTold { known: vec!["order.state".into()], forgotten: vec!["customer.tier".into()], by: None },
        What::Consent { state: "open".into(), by: "route".into() },
        What::EscalationLikely { score: 0.75, evidence: vec!["negative share 0.2 to 0.6".into()] },
        What::ScenarioTurned(ScenarioTurn {
            scenario: "after-sales".into(),
            before: 0.25,
            after: 0.5,
            chance: 0.000_061_035_156,
        }),
        What::ServiceSwitched {
            rule: "sorry-first".into(),
            policy: "after-sales@3".into(),
            before: Some(served_as("usual", "bot", 5)),
            after: Some(ServedAs {
                skill: Some("complaints".into()),
                script: Some("sorry".into()),
                tone: Some("apologetic".into()),
                simplify: true,
                ..served_as("sorry-first", "human", 1)
            }),
            words: Some("非常抱歉".into()),
            language: Some("zh".into()),
        },
        What::Conversation {
            target: "human".into(),
            caller: TurnTaking {
                speech_ms: 21_000,
                overlap_ms: 2_750,
                turns: 9,
                interruptions: 2,
                latency_ms: Some(350),
            },
            callee: TurnTaking { speech_ms: 17_500, overlap_ms: 2_750, turns: 8, interruptions: 0, latency_ms: None },
        },
        What::LanguageFound(LanguageHeard {
            party: "caller".into(),
            language: "en".into(),
            probability: 0.96875,
            heard_in: "en".into(),
            speech_ms: 3_000,
        }),
        What::Said {
            party: "caller".into(),
            engine: "pocketsphinx".into(),
            is_final: true,
            audio_ms: 11_000,
            until_ms: 13_500,
            phrases: vec![PhraseHeard {
                intent: "complaint".into(),
                text: "我要投诉".into(),
                audio_ms: 11_240,
                until_ms: 12_100,
                confidence: 0.875,
            }],
            text: None,
            crosstalk: false,
        },
    ]
}

fn written() -> Vec<What> {
    vec![
        What::ChatOpened { channel: "app".into(), name: Some("chat-17".into()), language: Some("zh".into()) },
        What::MessageDropped { party: "caller".into(), why: "duplicate".into() },
        What::ReplySuggested {
            rule: "sorry-first".into(),
            script: Some("sorry".into()),
            text: "非常抱歉".into(),
            language: "zh".into(),
        },
        What::AnswersSuggested(Box::new(Advice {
            query: "退款多久到账".into(),
            answers: vec![AnswerFound {
                entry: "refund-when".into(),
                question: "退款什么时候到账".into(),
                answer: "按原支付方式退回".into(),
                language: "zh".into(),
                score: 1.25,
            }],
        })),
        What::NotPossible {
            rule: "angry-caller".into(),
            action: "prompt sorry-transfer.wav".into(),
            reason: "a chat has no sound".into(),
        },
        What::TicketAsked(TicketAsked {
            crm: "tickets".into(),
            rule: "angry-caller".into(),
            emotion: "anger".into(),
            level: "high".into(),
            score: 0.875,
        }),
        What::OutcomeTold(Outcome {
            by: "crm".into(),
            name: Some("ticket-9".into()),
            complaint: Some(true),
            satisfied: Some(2),
            repurchased: Some(false),
            resolved: None,
        }),
    ]
}

/// What is done about alerts and places in queues.
fn done() -> Vec<What> {
    vec![
        What::AlertHandled(AlertDeed {
            alert_ms: 14_000,
            rule: "angry-caller".into(),
            deed: "assigned".into(),
            by: "li".into(),
            to: Some("wang".into()),
            snooze_s: None,
        }),
        What::AlertEscalated(AlertEscalated {
            alert_ms: 14_000,
            rule: "angry-caller".into(),
            step: 2,
            waited_s: 300,
            severity: "critical".into(),
            text: "angry caller".into(),
            route: "hotline".into(),
            tenant: None,
            since: Moment(1_700_000_000_000),
            to: vec!["li".into(), "wang".into()],
            crms: vec!["tickets".into()],
        }),
        What::PriorityChanged(PriorityChange { queue_priority: Some(10), by: "li".into() }),
        What::GroupTurned(GroupTurn {
            by: "customer.region".into(),
            group: "north".into(),
            before: 0.25,
            after: 0.5,
            chance: 0.000_061_035_156,
        }),
        What::ComplianceBreached(Breach {
            rule: "send-away".into(),
            duty: "never_say".into(),
            text: "The customer was sent away".into(),
            target: "human".into(),
        }),
        What::CallEnded {
            reason: "caller hung up".into(),
            talk_ms: 61_500,
            peak_anger: 0.875,
            peak_level: "high".into(),
            packets_lost: 3,
        },
    ]
}

fn served_as(service: &str, served_by: &str, priority: u8) -> ServedAs {
    let (service, served_by) = (service.to_owned(), served_by.to_owned());
    ServedAs { service, served_by, priority, skill: None, script: None, tone: None, simplify: false }
}
