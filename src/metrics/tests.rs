//! Walks the table and the exposition; feeds notices and reads the figures.

use super::*;
use crate::shell::listen::ShadowReport;
use crate::shell::recognize::RemoteFigures;

#[test]
fn names_carry_their_unit() {
    let units = [
        "_total",
        "_seconds",
        "_milliseconds_total",
        "_ratio",
        "_score",
        "_packets",
        "_orders",
        "_deliveries",
        "_entries",
        "_rows",
        "_steps",
        "_version",
        "_bytes",
        "_active",
        "_up",
        "_info",
    ];
    for metric in TABLE {
        assert!(metric.name.starts_with("calmline_"), "{}", metric.name);
        assert!(units.iter().any(|unit| metric.name.ends_with(unit)), "{} names no unit", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.help.ends_with('.'), "{}", metric.name);
        for label in metric.labels {
            assert!(!["call", "from", "to"].contains(label), "{} would label by {label}", metric.name);
        }
    }
    let names: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), TABLE.len());
}

fn tell_of_watching(metrics: &Metrics) {
    metrics.count_captured_dropped(2);
    metrics.count_hep("sent", 1);
    metrics.count_told("traces", "sent", 1);
}

fn tell_of_site(metrics: &Metrics) {
    metrics.set_node("a");
    metrics.set_nodes_heard(1);
    metrics.set_bus_up(true);
    metrics.count_bus_events("published", 1);
    metrics.count_bus_restore();
    metrics.count_order_carried("out", "answered");
    metrics.count_lease("reports", "held");
    metrics.set_site_libraries(3, 0);
}

fn tell_of_api(metrics: &Metrics) {
    metrics.set_model_runs(Default::default());
    metrics.count_requests_limited("person");
    metrics.begin_api_connection();
    metrics.end_api_connection();
    metrics.count_api_connection_refused();
    metrics.count_reload("taken");
}

#[test]
fn exposition_holds_the_whole_table_and_nothing_else() {
    let metrics = Metrics::new();
    for notice in one_of_each() {
        metrics.observe(&notice);
    }
    metrics.count_media(MediaCounts { relayed: 7, refused: 1, lost: 2, tap_dropped: 3, ..MediaCounts::default() });
    metrics.count_forked_audio(forks::pacing::Figures { taken: 160, ..Default::default() });
    metrics.record_tick_lateness(Duration::from_micros(300));
    metrics.set_load(Load::Sparing, &Measured::new(|_| 50.0));
    metrics.count_listener_restart("panic");
    metrics.set_media_restarts(1);
    metrics.count_copies_dropped(5);
    metrics.count_copier_restart();
    tell_of_watching(&metrics);
    tell_of_site(&metrics);
    metrics.set_listener_up(true);
    metrics.set_listening_backlog(4);
    metrics.set_policies(&["after-sales@3"]);
    metrics.set_pbx_up("asterisk", Some(true));
    metrics.set_pbx_waiting("asterisk", 2);
    metrics.count_pbx_order("asterisk", "done");
    metrics.count_sip_refused("rate");
    metrics.count_failover();
    metrics.count_kept_back("feedback");
    metrics.set_servers_restrained(1);
    metrics.set_feedback_told(40);
    metrics.count_certificates("loaded");
    metrics.count_dns("failed");
    tell_of_api(&metrics);
    metrics.set_sip_connections(1);
    metrics.set_store_up(true);
    metrics.set_store_bytes(4_096);
    metrics.count_store_kept(2);
    metrics.count_store_removed(1);
    metrics.count_audit_written(1);
    metrics.set_reels(1, 4_096);
    metrics.set_reels_up(true);
    metrics.count_reel_samples(crate::shell::reels::ReelFigures { kept: 160, dropped: 8 });
    metrics.count_reel("kept");
    metrics.set_recognition(true, &RecognizingFigures::default());
    metrics.set_remote_recognition(&RemoteFigures::default());
    metrics.set_utterances(&UtteranceFigures::default());
    metrics.set_trunk("carrier", Some(true), Some(false));
    metrics.count_delivery("tickets", "taken");
    metrics.set_deliveries(1, 2);
    metrics.set_knowledge(37);
    metrics.count_advice("suggested");
    metrics.count_pull("orders", "taken");
    metrics.set_source_age("orders", Some(Duration::from_secs(7)));
    let facts = [("order.state".to_owned(), crate::sources::FactTally { given: 4, right: 3, people: 2 })].into();
    metrics.set_source("orders", &crate::sources::Tally { rows: 4, taken: 2, facts, ..Default::default() });
    metrics.set_shadow(&ShadowReport::default());
    drop(metrics.browser());
    metrics.count_browser_refused(BrowserRefusal::Offer);
    metrics.count_browser_ended(BrowserEnd::Lost);

    let text = metrics.render();
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "no {} in\n{text}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "no help for {}", metric.name);
    }
    assert_eq!(text.matches("# TYPE ").count(), TABLE.len());
    assert!(!text.contains("call-1") && !text.contains("13800138000"), "{text}");
}

#[test]
fn counts_what_notices_say() {
    let metrics = Metrics::new();
    for notice in one_of_each() {
        metrics.observe(&notice);
    }
    check(
        &metrics,
        &[
            "calmline_calls_started_total 1",
            "calmline_calls_refused_total{code=\"503\"} 1",
            "calmline_load_changes_total{load=\"overloaded\"} 1",
            "calmline_calls_active 0",
            "calmline_call_setup_seconds_sum 0.12",
            "calmline_reaction_seconds_bucket{le=\"0.05\"} 1",
            "calmline_reaction_seconds_bucket{le=\"0.025\"} 0",
            "calmline_prompts_total{outcome=\"completed\"} 1",
            "calmline_reroutes_total{via=\"bridge\",outcome=\"done\"} 1",
            "calmline_reroute_gap_seconds_count{via=\"bridge\"} 1",
            "calmline_reinvites_total{party=\"caller\",outcome=\"accepted\"} 1",
            "calmline_leg_opinion_score_bucket{party=\"caller\",direction=\"received\",le=\"4.4\"} 1",
            "calmline_leg_opinion_score_bucket{party=\"caller\",direction=\"received\",le=\"4.3\"} 0",
            "calmline_leg_rating_score_sum{party=\"caller\"} 91.5",
            "calmline_media_concealed_seconds_total{party=\"caller\"} 1",
            "calmline_leg_round_trip_seconds_bucket{party=\"caller\",le=\"0.05\"} 1",
            "calmline_leg_jitter_seconds_count{party=\"caller\",direction=\"reported\"} 1",
            "calmline_leg_loss_ratio_count{party=\"caller\",direction=\"reported\"} 1",
            "calmline_leg_burst_ratio_sum{party=\"caller\"} 1",
            "calmline_alerts_total{severity=\"critical\"} 1",
            "calmline_supervisors_total{outcome=\"joined\"} 1",
            "calmline_supervisors_total{outcome=\"failed\"} 1",
            "calmline_supervisors_active 0",
            "calmline_audio_clients_active 0",
            "calmline_audio_missed_frames_total 62",
            "calmline_call_anger_peak_ratio_bucket{le=\"0.9\"} 1",
        ],
    );
}

#[test]
fn what_is_missing_in_audio_adds_up() {
    let metrics = Metrics::new();
    let stats = ::media::LegStats { packets_unauthentic: 2, underruns: 3, ..::media::LegStats::default() };
    for _ in 0..2 {
        metrics.count_media((&stats).into());
        metrics.count_concealed("callee", 600);
    }
    check(
        &metrics,
        &[
            "calmline_media_packets_unauthentic_total 4",
            "calmline_media_underruns_total 6",
            "calmline_media_concealed_seconds_total{party=\"callee\"} 1",
        ],
    );
}

#[test]
fn who_was_not_called_was_not_waited_for() {
    let metrics = Metrics::new();
    for uncalled in [true, false] {
        let what = What::CallAnswered { target: "chat".to_owned(), setup_ms: 0, uncalled, groups: Vec::new() };
        metrics.observe(&Notice { call: "call-1".to_owned(), call_ms: 0, what });
    }
    check(&metrics, &["calmline_calls_answered_total 2", "calmline_call_setup_seconds_count 1"]);
}

#[test]
fn a_new_policy_replaces_the_old_one() {
    let metrics = Metrics::new();
    metrics.set_policies(&["after-sales@3", "billing@1"]);
    metrics.set_policies(&["after-sales@4", "billing@1"]);
    check(
        &metrics,
        &[
            "calmline_policy_info{policy=\"after-sales@3\"} 0",
            "calmline_policy_info{policy=\"after-sales@4\"} 1",
            "calmline_policy_info{policy=\"billing@1\"} 1",
        ],
    );
}

#[test]
fn labels_are_bounded() {
    let metrics = Metrics::new();
    for number in 0..1_000 {
        metrics.count_listener_restart(&format!("cause {number} {}", "ü".repeat(100)));
    }
    let text = metrics.render();
    let series = text.lines().filter(|line| line.starts_with("calmline_listener_restarts_total{")).count();
    assert_eq!(series, LABEL_VALUES_MAX + 1);
    check(&metrics, &["calmline_listener_restarts_total{cause=\"other\"} 939"]);
}

fn one_of_each() -> Vec<Notice> {
    crate::notice_samples::one_of_each()
}

#[track_caller]
fn check(metrics: &Metrics, expected: &[&str]) {
    let text = metrics.render();
    for line in expected {
        assert!(text.lines().any(|got| got == *line), "no {line} in\n{text}");
    }
}

/// What the dashboards and alert rules ask for is there, with the labels that they name.
#[test]
fn dashboards_and_rules_ask_for_what_there_is() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dashboards");
    let mut asked = BTreeSet::new();
    for file in std::fs::read_dir(folder).expect("the dashboards").map(|entry| entry.expect("a file").path()) {
        let text = std::fs::read_to_string(&file).expect("a text");
        if file.extension().is_some_and(|extension| extension == "json") {
            let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            for panel in dashboard["panels"].as_array().expect("panels") {
                let targets = panel["targets"].as_array().into_iter().flatten();
                targets.for_each(|target| legend_has_labels(&target["expr"], &target["legendFormat"]));
            }
        } else if file.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        asked.extend(names_in(&text));
    }
    let known: BTreeSet<_> = TABLE.iter().map(|metric| metric.name.to_owned()).collect();
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(asked.len() > 40 && unknown.is_empty(), "{unknown:?} of {asked:?}");
}

/// A rule that asks by how much a counter has grown is silent about what is born with its first value.
#[test]
fn what_rules_see_grow_stands_at_zero_from_the_start() {
    let rules = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dashboards/alerts.yml");
    let rules = std::fs::read_to_string(rules).expect("a text");
    let begun = Metrics::new().render();
    let grows = rules.split("increase(").skip(1).chain(rules.split("rate(").skip(1));
    let mut watched = 0;
    for series in grows.filter_map(|rest| rest.split('[').next()) {
        let name = series.split('{').next().expect("a name");
        if !name.ends_with("_total") {
            continue;
        }
        watched += 1;
        let zeros = begun.lines().filter(|line| line.starts_with(name) && line.ends_with(" 0"));
        let wanted: Vec<&str> = series.split('"').skip(1).step_by(2).flat_map(|values| values.split('|')).collect();
        let of = |value: &&str| zeros.clone().any(|line| line.contains(&format!("=\"{value}\"")));
        assert!(zeros.clone().next().is_some() && wanted.iter().all(of), "{series} does not begin at 0:\n{begun}");
    }
    assert!(watched >= 8, "{watched}");
}

/// Names of metrics in a text, without what Prometheus puts behind those of histograms.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let mut names: BTreeSet<_> = words.filter(|word| word.starts_with("calmline_")).map(str::to_owned).collect();
    for behind in ["_bucket", "_sum", "_count"] {
        names = names.iter().map(|name| name.strip_suffix(behind).unwrap_or(name).to_owned()).collect();
    }
    names
}

#[track_caller]
fn legend_has_labels(query: &serde_json::Value, legend: &serde_json::Value) {
    let (query, legend) = (query.as_str().expect("a query"), legend.as_str().expect("a legend"));
    let names = names_in(query);
    let metrics: Vec<_> = TABLE.iter().filter(|metric| names.contains(metric.name)).collect();
    for label in legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
        let is_there = label == "instance" || metrics.iter().all(|metric| metric.labels.contains(&label));
        assert!(is_there && query.contains(label), "{legend} of {query}");
    }
}
