//! What of a configuration can change while the server runs, and what has to wait for its next start.
//!
//! Every key is named here, so that a new one cannot be forgotten: the settings are taken apart field by field.

use super::{
    ForkSettings, Limits, ListeningSettings, MediaSettings, RecognitionSettings, Settings, SipSettings, SpeechSettings,
    StoreSettings, WebSettings,
};
use crate::recognizer::Engine;

/// Legs a call may have while it is moved: caller, bot, human, and one whose end is not yet confirmed; supervisors come
/// on top.
const LEGS_PER_CALL: usize = 4;

impl Settings {
    /// Media legs that there may be at a time. The media threads make room for as many when they start.
    pub fn legs_max(&self) -> usize {
        self.limits.calls.saturating_mul(self.legs_per_call())
    }

    fn legs_per_call(&self) -> usize {
        LEGS_PER_CALL + self.supervision.per_call
    }

    /// This configuration as a server takes it up that was started with `started`.
    ///
    /// # Returns
    /// It with the values of the start where only a restart can change them, and the keys of which that is true.
    pub fn for_running(mut self, started: &Settings) -> (Settings, Vec<String>) {
        let mut kept = Kept(Vec::new());
        // What is not named further down is taken by calls that begin, by name or pattern.
        let Settings {
            node,
            bus,
            sip,
            media,
            limits: _,
            web,
            listening,
            recognition,
            knowledge: _,
            compliance: _,
            privacy: _,
            alerts: _,
            store,
            reports,
            report_font: _,
            mail: _,
            capture,
            hep,
            telemetry,
            speech,
            policy: _,
            forks,
            crms,
            sources,
            pbxes: _,
            users: _,
            supervision: _,
            webrtc,
            trunks: _,
            targets: _,
            routes: _,
            written: _,
        } = started;
        kept.keep("node", &mut self.node, node);
        kept.keep("bus", &mut self.bus, bus);
        kept.sip(&mut self.sip, sip);
        kept.media(&mut self.media, media);
        kept.web(&mut self.web, web.as_ref());
        kept.listening(&mut self.listening, listening);
        kept.recognition(&mut self.recognition, recognition.as_ref());
        if let Some(wanted) = &mut self.recognition {
            wanted.engine.run_by(self.listening.runtime.as_deref());
        }
        kept.store(&mut self.store, store.as_ref());
        kept.keep("capture", &mut self.capture, capture);
        kept.keep("hep", &mut self.hep, hep);
        kept.keep("telemetry", &mut self.telemetry, telemetry);
        kept.forks(&mut self.forks, forks);
        kept.keep("webrtc", &mut self.webrtc, webrtc);
        // What needs the store waits with it.
        if store.is_none() {
            kept.keep("reports", &mut self.reports, reports);
            kept.keep("crm", &mut self.crms, crms);
            kept.keep("sources", &mut self.sources, sources);
        }
        let SpeechSettings { program, cache_bytes } = speech;
        kept.keep("speech.program", &mut self.speech.program, program);
        kept.keep("speech.cache_mb", &mut self.speech.cache_bytes, cache_bytes);

        // There may be fewer calls, or as many as the media threads have room for.
        let room = (started.legs_max() / self.legs_per_call()).max(1);
        kept.calls(&mut self.limits, room);
        (self, kept.0)
    }
}

/// The keys whose values were kept, as they stand in the file.
struct Kept(Vec<String>);

impl Kept {
    fn calls(&mut self, Limits { calls, .. }: &mut Limits, room: usize) {
        if *calls > room {
            self.0.push(format!("limits.calls beyond {room}"));
            *calls = room;
        }
    }

    fn keep<T: Clone + PartialEq>(&mut self, key: &str, fresh: &mut T, started: &T) {
        if fresh != started {
            self.0.push(key.to_owned());
            fresh.clone_from(started);
        }
    }

    fn sip(&mut self, fresh: &mut SipSettings, started: &SipSettings) {
        let SipSettings {
            listeners,
            external,
            networks,
            user_agent,
            trusted: _,
            unknown_sources: _,
            requests_per_s: _,
            datagram_bytes,
            long_request_bytes,
            connections,
            connections_per_source,
            idle,
            tls,
            origins,
            dns,
        } = started;
        self.keep("sip.listen", &mut fresh.listeners, listeners);
        self.keep("sip.external_address", &mut fresh.external, external);
        self.keep("sip.networks", &mut fresh.networks, networks);
        self.keep("sip.user_agent", &mut fresh.user_agent, user_agent);
        self.keep("sip.datagram_bytes", &mut fresh.datagram_bytes, datagram_bytes);
        self.keep("sip.long_request_bytes", &mut fresh.long_request_bytes, long_request_bytes);
        self.keep("sip.connections", &mut fresh.connections, connections);
        self.keep("sip.connections_per_source", &mut fresh.connections_per_source, connections_per_source);
        self.keep("sip.idle_s", &mut fresh.idle, idle);
        self.keep("sip.tls", &mut fresh.tls, tls);
        self.keep("sip.origins", &mut fresh.origins, origins);
        self.keep("sip.dns", &mut fresh.dns, dns);
    }

    fn store(&mut self, fresh: &mut Option<StoreSettings>, started: Option<&StoreSettings>) {
        let mut started = started.cloned();
        // The master key is fetched anew when the keys are rotated.
        if let (Some(fresh), Some(started)) = (fresh.as_ref(), started.as_mut()) {
            started.master_key.clone_from(&fresh.master_key);
            started.previous_key.clone_from(&fresh.previous_key);
        }
        self.keep("store", fresh, &started);
    }

    fn media(&mut self, fresh: &mut MediaSettings, started: &MediaSettings) {
        let MediaSettings {
            address,
            external_address: _,
            networks: _,
            port_rest,
            tones: _,
            ports,
            threads,
            cpus,
            io,
            stamps,
            priority,
            silence: _,
            silence_limit: _,
        } = started;
        self.keep("media.address", &mut fresh.address, address);
        self.keep("media.port_rest_s", &mut fresh.port_rest, port_rest);
        self.keep("media.ports", &mut fresh.ports, ports);
        self.keep("media.threads", &mut fresh.threads, threads);
        self.keep("media.cpus", &mut fresh.cpus, cpus);
        self.keep("media.io", &mut fresh.io, io);
        self.keep("media.timestamps", &mut fresh.stamps, stamps);
        self.keep("media.priority", &mut fresh.priority, priority);
    }

    fn web(&mut self, fresh: &mut Option<WebSettings>, started: Option<&WebSettings>) {
        match (fresh.as_mut(), started) {
            (Some(fresh), Some(WebSettings { listen, token: _, tokens: _, frame_ancestors: _, oidc: _, tls })) => {
                self.keep("web.listen", &mut fresh.listen, listen);
                self.keep("web.tls", &mut fresh.tls, tls);
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                self.0.push("web".to_owned());
                *fresh = started.cloned();
            }
        }
    }

    fn listening(&mut self, fresh: &mut ListeningSettings, started: &ListeningSettings) {
        let ListeningSettings {
            enabled,
            runtime,
            model: _,
            sound: _,
            trusted: _,
            lexicons: _,
            text_model: _,
            shadow_model: _,
            shadow_text_model: _,
            parties: _,
            tap_packets,
            barge_in,
            remember_speakers: _,
            scores: _,
            functionals: _,
        } = started;
        self.keep("listening.enabled", &mut fresh.enabled, enabled);
        self.keep("listening.runtime", &mut fresh.runtime, runtime);
        self.keep("listening.tap_packets", &mut fresh.tap_packets, tap_packets);
        self.keep("listening.barge_in_ms", &mut fresh.barge_in, barge_in);
    }

    fn recognition(&mut self, fresh: &mut Option<RecognitionSettings>, started: Option<&RecognitionSettings>) {
        match (fresh.as_mut(), started) {
            (
                Some(fresh),
                Some(RecognitionSettings { models: _, phrases: _, trusted: _, engine, punctuation: _, language: _ }),
            ) => {
                // The library stays loaded; all else of an engine is made anew.
                if let (Some(Engine::Phrases { library: fresh }), Some(Engine::Phrases { library })) =
                    (fresh.engine.local_mut(), engine.local())
                {
                    self.keep("recognition.library", fresh, library);
                }
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                self.0.push("recognition".to_owned());
                *fresh = started.cloned();
            }
        }
    }

    fn forks(&mut self, fresh: &mut ForkSettings, started: &ForkSettings) {
        let ForkSettings { agents: _, first: _, audiosocket, websocket, trusted: _, token: _ } = started;
        self.keep("forks.audiosocket", &mut fresh.audiosocket, audiosocket);
        self.keep("forks.websocket", &mut fresh.websocket, websocket);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const STARTED: &str = r#"
        [sip]
        listen = "127.0.0.1:5060"
        [media]
        ports = "20000-20098"
        [limits]
        calls = 100
        [web]
        listen = "127.0.0.1:8080"
        token_env = "CALMLINE_TOKEN"
        [supervision]
        per_call = 1
        [targets.bot]
        uri = "sip:bot@10.0.0.9"
        [[route]]
        name = "all"
        targets = ["bot"]
        scenario = "any"
    "#;

    #[test]
    fn what_calls_begin_with_is_taken() {
        check(&[], &[]);
        check(&[("bot@10.0.0.9", "other@10.0.0.9"), ("scenario = \"any\"", "scenario = \"more\"")], &[]);
        check(&[("calls = 100", "calls = 7\nring_s = 9\ndrain_s = 1")], &[]);
        check(&[("per_call = 1", "per_call = 0\nuris = [\"sip:8*@10.0.0.9\"]")], &[]);
        check(&[("token_env = \"CALMLINE_TOKEN\"", "token_env = \"OTHER\"")], &[]);
        let told = "[listening]\nenabled = false\nparties = \"both\"\nscores = true\nfunctionals = true\n[supervision]";
        check(&[("[supervision]", told)], &[]);
        check(&[("[limits]", "external_address = \"192.0.2.7\"\nsilence_s = 9\ntones = \"us\"\n[limits]")], &[]);
    }

    #[test]
    fn sockets_threads_and_devices_wait_for_a_restart() {
        check(&[("127.0.0.1:5060", "127.0.0.1:5070")], &["sip.listen"]);
        check(
            &[("20000-20098", "20000-20048\"\nthreads = 2\nio = \"epoll")],
            &["media.ports", "media.threads", "media.io"],
        );
        check(&[("127.0.0.1:8080", "127.0.0.1:8081")], &["web.listen"]);
        check(&[("[supervision]", "[listening]\nparties = \"both\"\n[supervision]")], &["listening.enabled"]);
        check(&[("[supervision]", "[speech]\nprogram = \"other\"\n[supervision]")], &["speech.program"]);
        check(&[("[web]\n        listen = \"127.0.0.1:8080\"\n        token_env = \"CALMLINE_TOKEN\"", "")], &["web"]);
    }

    #[test]
    fn what_words_are_heard_and_read_by_is_taken_and_the_library_waits() {
        const HEARING: &str = "[listening]\nlexicons = [\"a.toml\"]\n[recognition]\nphrases = [\"b.toml\"]\n";
        let text = |extra: &str| format!("{HEARING}{extra}[supervision]");
        let started = STARTED.replacen("[supervision]", &text(""), 1);
        check_from(
            &started,
            &[("a.toml", "c.toml"), ("b.toml\"]", "d.toml\"]\nmodels = \"m\"\nlanguage = \"en\"")],
            &[],
        );
        check_from(&started, &[("b.toml\"]", "b.toml\"]\nlibrary = \"/l.so\"")], &["recognition.library"]);
        let built_in = started.replacen("[recognition]", "[recognition]\nengine = \"built-in\"", 1);
        let runtime = ("[listening]", "[listening]\nruntime = \"/other.so\"");
        let taken = check_from(&built_in, &[runtime], &["listening.runtime"]);
        let heard_by = taken.recognition.map(|wanted| wanted.engine);
        assert_eq!(heard_by, Some(Engine::BuiltIn { runtime: None }), "one library computes for all");
        check_from(&started, &[("[recognition]\nphrases = [\"b.toml\"]", "")], &["recognition"]);
    }

    #[test]
    fn neighbours_are_taken_with_the_targets_that_they_lead_to() {
        const NEIGHBOURS: &str = "[trunks.carrier]\nsources = [\"192.0.2.0/24\"]\n\
             [pbx.asterisk]\nkind = \"ami\"\naddress = \"10.0.0.9:5038\"\nuser = \"us\"\nsecret_env = \"S\"\n\
             [forks]\ntrusted = [\"192.0.2.0/24\"]\ntoken_env = \"T\"\n[targets.bot]\ntrunk = \"carrier\"";
        let senders = "trusted = [\"10.0.0.9\"]\nrequests_per_s = 7\nunknown_sources = \"forbidden\"\n[media]";
        let taken = check(&[("[targets.bot]", NEIGHBOURS), ("[media]", senders)], &[]);
        assert_eq!((taken.trunks.len(), taken.pbxes.len(), taken.sip.requests_per_s), (1, 1, 7));
        assert_eq!(taken.targets["bot"].trunk.as_deref(), Some("carrier"));
        check(&[("[supervision]", "[forks]\naudiosocket = \"127.0.0.1:9092\"\n[supervision]")], &["forks.audiosocket"]);
        check(&[("[supervision]", "[webrtc]\n[supervision]")], &["webrtc"]);
    }

    #[test]
    fn who_is_told_outside_and_what_is_pulled_is_taken_where_there_is_a_store() {
        const OUTSIDE: &str = "[store]\n[reports]\n[reports.to.heads]\nmail = [\"heads@shop.example\"]\n\
             [mail]\nserver = \"mail.shop.example\"\nfrom = \"calmline@shop.example\"\n\
             [crm.tickets]\nurl = \"https://desk.example\"\nsecret_env = \"S\"\n\
             [sources.customers]\nfile = \"a.csv\"\nperson = \"phone\"\nfacts = { level = \"customer.tier\" }\n[supervision]";
        let started = STARTED.replacen("[supervision]", "[store]\n[supervision]", 1);
        let taken = check_from(&started, &[("[store]\n[supervision]", OUTSIDE)], &[]);
        assert_eq!(
            (taken.crms.len(), taken.sources.len(), taken.reports.map(|reports| reports.to.len())),
            (1, 1, Some(1))
        );
        check(&[("[supervision]", OUTSIDE)], &["store", "reports", "crm", "sources"]);
    }

    #[test]
    fn there_are_no_more_calls_than_the_media_threads_have_room_for() {
        // Room for 100 calls of 5 legs.
        check(&[("calls = 100", "calls = 101")], &["limits.calls beyond 100"]);
        check(&[("calls = 100", "calls = 200"), ("per_call = 1", "per_call = 0")], &["limits.calls beyond 125"]);
        check(&[("per_call = 1", "per_call = 3")], &["limits.calls beyond 71"]);
        check(&[("calls = 100", "calls = 71"), ("per_call = 1", "per_call = 3")], &[]);
    }

    /// Pieces of the file are replaced; `kept` are the keys that need a restart, and what is taken comes back.
    #[track_caller]
    fn check(edits: &[(&str, &str)], kept: &[&str]) -> Settings {
        check_from(STARTED, edits, kept)
    }

    /// The same of another file that the server was started with.
    #[track_caller]
    fn check_from(file: &str, edits: &[(&str, &str)], kept: &[&str]) -> Settings {
        let read = |text: &str| Settings::parse(text, Path::new("calmline.toml")).expect("a good file");
        let started = read(file);
        let mut text = file.to_owned();
        for (old, new) in edits {
            assert!(text.contains(old), "{old:?} is not in the file");
            text = text.replacen(old, new, 1);
        }
        let (taken, got) = read(&text).for_running(&started);
        assert_eq!(got, kept, "{edits:?}");
        // What was kept is not asked for again, and everything else was taken.
        let (again, none) = taken.clone().for_running(&started);
        assert_eq!((none.as_slice(), format!("{again:?}")), ([].as_slice(), format!("{taken:?}")));
        if kept.is_empty() {
            assert_eq!(format!("{taken:?}"), format!("{:?}", read(&text)));
        }
        taken
    }
}
