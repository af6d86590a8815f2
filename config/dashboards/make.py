#!/usr/bin/env python3
"""Writes the Grafana dashboards beside this file: `python3 config/dashboards/make.py`.

A panel is a title, a unit, and what it shows: (query, legend). Two panels stand beside each other; a row's name goes above them.
"""

import json
import pathlib

JOB = 'job=~"$job",instance=~"$instance"'


def rate(metric, by="", where=""):
    return f"sum by ({by}) (rate({metric}{{{JOB}{where}}}[$__rate_interval]))"


def now(metric, by="", where=""):
    return f"sum by ({by}) ({metric}{{{JOB}{where}}})"


def worst(metric, by="instance", where=""):
    return f"max by ({by}) ({metric}{{{JOB}{where}}})"


def least(metric, by="instance", where=""):
    return f"min by ({by}) ({metric}{{{JOB}{where}}})"


def share(metric, of, by="", where=""):
    return f"{rate(metric, by, where)} / clamp_min({rate(of, by)}, 1e-9)"


def quantile(q, metric, by=""):
    inner = "le" if not by else f"le, {by}"
    return f"histogram_quantile({q}, sum by ({inner}) (rate({metric}_bucket{{{JOB}}}[$__rate_interval])))"


def quantiles(metric, *qs):
    return [(quantile(q, metric), f"p{100 * q:g}") for q in qs]


CALLS = [
    ("Calls", [
        ("Calls now", "short", [(now("calmline_calls_active", "instance"), "{{instance}}")]),
        ("Calls begun, answered, refused, sent elsewhere, per second", "cps", [
            (rate("calmline_calls_started_total"), "begun"),
            (rate("calmline_calls_answered_total"), "answered"),
            (rate("calmline_calls_refused_total", "code"), "refused {{code}}"),
            (rate("calmline_calls_redirected_total"), "sent elsewhere"),
        ]),
        ("Set-up, INVITE to 200", "s", quantiles("calmline_call_setup_seconds", 0.5, 0.99)),
        ("Why calls ended, per second", "cps", [(rate("calmline_calls_ended_total", "reason"), "{{reason}}")]),
        ("Talk time, seconds per second", "short", [(rate("calmline_call_talk_seconds_total"), "talked")]),
        ("Chats, per second", "cps", [(rate("calmline_chats_total"), "begun")]),
    ]),
    ("Emotion and what is done about it", [
        ("Observed levels, per second", "cps", [(rate("calmline_observations_total", "level"), "{{level}}")]),
        ("Highest anger of ended calls", "percentunit", quantiles("calmline_call_anger_peak_ratio", 0.5, 0.9, 0.99)),
        ("Decisions, per second", "cps", [(rate("calmline_decisions_total", "rule"), "{{rule}}")]),
        ("Alerts and warnings, per minute", "cpm", [
            (f"60 * {rate('calmline_alerts_total', 'severity')}", "alert {{severity}}"),
            (f"60 * {rate('calmline_escalation_warnings_total')}", "likely to escalate"),
        ]),
        ("Reaction, decision to the prompt's first packet", "s", quantiles("calmline_reaction_seconds", 0.5, 0.99)),
        ("Prompts and re-routes, per second", "cps", [
            (rate("calmline_prompts_total", "outcome"), "prompt {{outcome}}"),
            (rate("calmline_reroutes_total", "via, outcome"), "re-route {{via}} {{outcome}}"),
        ]),
        ("Re-route: answer, and silence at the swap", "s", [
            (quantile(0.5, "calmline_reroute_answer_seconds"), "answer p50"),
            (quantile(0.99, "calmline_reroute_gap_seconds"), "silence p99"),
        ]),
        ("Supervisors", "short", [
            (now("calmline_supervisors_active"), "on calls"),
            (now("calmline_browsers_active"), "of them by browser"),
            (now("calmline_audio_clients_active"), "listening to streams"),
        ]),
    ]),
]
MEDIA = [
    ("Packets", [
        ("Packets, per second", "pps", [
            (rate("calmline_media_packets_relayed_total"), "relayed"),
            (rate("calmline_media_packets_lost_total"), "lost before us"),
            (rate("calmline_media_packets_refused_total"), "refused"),
            (rate("calmline_media_packets_unauthentic_total"), "not authentic"),
        ]),
        ("Lateness of media ticks, p99", "s", [(quantile(0.99, "calmline_media_tick_lateness_seconds"), "p99")]),
        ("Audio that was not there: concealed, s/s; mixed without a speaker, frames per second", "short", [
            (rate("calmline_media_concealed_seconds_total", "party"), "concealed to the {{party}}"),
            (rate("calmline_media_underruns_total"), "underruns"),
        ]),
    ]),
    ("Quality of legs when they end", [
        ("Opinion (MOS), worst tenth", "short", [
            (quantile(0.1, "calmline_leg_opinion_score", "party, direction"), "{{party}} {{direction}}"),
        ]),
        ("Rating R, worst tenth", "short", [(quantile(0.1, "calmline_leg_rating_score", "party"), "{{party}}")]),
        ("Loss, p90", "percentunit", [
            (quantile(0.9, "calmline_leg_loss_ratio", "party, direction"), "{{party}} {{direction}}"),
        ]),
        ("Jitter, p90", "s", [
            (quantile(0.9, "calmline_leg_jitter_seconds", "party, direction"), "{{party}} {{direction}}"),
        ]),
        ("Round trip, p90", "s", [(quantile(0.9, "calmline_leg_round_trip_seconds", "party"), "{{party}}")]),
        ("Discarded as too late, p90", "percentunit", [
            (quantile(0.9, "calmline_leg_discarded_ratio", "party, direction"), "{{party}} {{direction}}"),
        ]),
    ]),
    ("Keys of SRTP", [
        ("DTLS handshakes, per second", "cps", [(rate("calmline_handshakes_total", "outcome"), "{{outcome}}")]),
        ("DTLS handshakes, time", "s", quantiles("calmline_handshake_seconds", 0.5, 0.99)),
    ]),
]
ANALYSIS = [
    ("Listening", [
        ("Listening thread up", "bool", [(least("calmline_listener_up"), "{{instance}}")]),
        ("Restarts, per hour", "short", [(f"3600 * {rate('calmline_listener_restarts_total', 'cause')}", "{{cause}}")]),
        ("Audio that waits", "packets", [(worst("calmline_listening_backlog_packets"), "{{instance}}")]),
        ("Audio that was not heard, packets per second", "pps", [
            (rate("calmline_tap_dropped_packets_total"), "listening"),
            (rate("calmline_copy_dropped_packets_total"), "live copies"),
        ]),
        ("Load", "percentunit", [(worst("calmline_load_ratio", "measure"), "{{measure}}")]),
        ("Load changes, per hour", "short", [(f"3600 * {rate('calmline_load_changes_total', 'load')}", "{{load}}")]),
    ]),
    ("Words", [
        ("Recogniser up", "bool", [(least("calmline_recognition_up"), "{{instance}}")]),
        ("Time spent per time of audio", "percentunit", [(worst("calmline_recognition_real_time_ratio"), "{{instance}}")]),
        ("Audio that waits", "s", [(worst("calmline_recognition_backlog_seconds"), "{{instance}}")]),
        ("Phrases heard, per second", "cps", [(rate("calmline_phrases_total", "intent"), "{{intent}}")]),
    ]),
    ("A candidate model beside the one in use", [
        ("How far it differs", "percentunit", [(worst("calmline_shadow_difference_ratio", "what"), "{{what}}")]),
        ("Its processor time, s/s", "short", [
            (f"sum(deriv(calmline_shadow_cpu_seconds{{{JOB}}}[$__rate_interval]))", "processor"),
        ]),
    ]),
    ("Business data", [
        ("Age of sources", "s", [(worst("calmline_source_age_seconds", "source"), "{{source}}")]),
        ("Completeness", "percentunit", [
            (least("calmline_source_completeness_ratio", "source, fact"), "{{source}} {{fact}}"),
        ]),
    ]),
]
NEIGHBOURS = [
    ("SIP", [
        ("Trunks up", "bool", [(least("calmline_trunk_up", "trunk"), "{{trunk}}")]),
        ("Registered", "bool", [(least("calmline_trunk_registration_up", "trunk"), "{{trunk}}")]),
        ("Refused messages and connections, per second", "cps", [(rate("calmline_sip_refused_total", "reason"), "{{reason}}")]),
        ("Connections", "short", [(now("calmline_sip_connections_active", "instance"), "{{instance}}")]),
        ("Calls to the next place of a target, per second", "cps", [(rate("calmline_sip_failovers_total"), "fail-overs")]),
        ("Troubles with the DNS, per second", "cps", [(rate("calmline_dns_troubles_total", "outcome"), "{{outcome}}")]),
    ]),
    ("PBXs and other systems", [
        ("PBXs up", "bool", [(least("calmline_pbx_up", "pbx"), "{{pbx}}")]),
        ("Orders that wait", "short", [(worst("calmline_pbx_waiting_orders", "pbx"), "{{pbx}}")]),
        ("Orders, per second", "cps", [(rate("calmline_pbx_orders_total", "pbx, outcome"), "{{pbx}} {{outcome}}")]),
        ("Deliveries, per second", "cps", [(rate("calmline_deliveries_total", "crm, outcome"), "{{crm}} {{outcome}}")]),
        ("Deliveries that are kept", "short", [(now("calmline_kept_deliveries", "state"), "{{state}}")]),
    ]),
    ("Store", [
        ("Store up", "bool", [(least("calmline_store_up"), "{{instance}}")]),
        ("Size", "bytes", [(worst("calmline_store_bytes"), "{{instance}}")]),
        ("Notices, per second", "cps", [(rate("calmline_store_notices_total", "outcome"), "{{outcome}}")]),
        ("Audit entries, per second", "cps", [(rate("calmline_audit_entries_total"), "entries")]),
    ]),
    ("Nodes of a site", [
        ("Connected to the bus", "bool", [(least("calmline_bus_up"), "{{instance}}")]),
        ("Other nodes that are heard of", "short", [(least("calmline_nodes_active"), "{{instance}}")]),
        ("Events for the bus, per second", "cps", [(rate("calmline_bus_events_total", "outcome"), "{{outcome}}")]),
        ("Nodes asked for all their calls, per hour", "short", [
            (f"3600 * {rate('calmline_bus_restores_total', 'instance')}", "{{instance}}"),
        ]),
        ("Orders from node to node, per minute", "cpm", [
            (f"60 * {rate('calmline_orders_carried_total', 'direction, outcome')}", "{{direction}} {{outcome}}"),
        ]),
        ("Leases: kept or taken, per minute", "cpm", [
            (f"60 * {rate('calmline_leases_total', 'lease, outcome')}", "{{lease}} {{outcome}}"),
        ]),
        ("The site's libraries", "short", [
            (worst("calmline_site_libraries_version"), "{{instance}}"),
            (worst("calmline_site_libraries_behind_steps"), "{{instance}} behind"),
        ]),
    ]),
    ("API", [
        ("Requests refused for their number, per second", "cps", [(rate("calmline_api_requests_limited_total"), "limited")]),
        ("Configuration read again, per hour", "short", [(f"3600 * {rate('calmline_reloads_total', 'outcome')}", "{{outcome}}")]),
    ]),
]
DASHBOARDS = {"calls": ("Calls and emotion", CALLS), "media": ("Media", MEDIA),
              "analysis": ("Analysis", ANALYSIS), "neighbours": ("Neighbours and store", NEIGHBOURS)}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 12, 8


def dashboard(name, title, rows):
    panels, y = [], 0
    for row, shown in rows:
        panels.append({"type": "row", "title": row, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "collapsed": False, "panels": []})
        y += 1
        for number, (about, unit, queries) in enumerate(shown):
            place = {"x": WIDTH * (number % 2), "y": y + HEIGHT * (number // 2), "w": WIDTH, "h": HEIGHT}
            panels.append(panel(about, unit, queries, place))
        y += HEIGHT * ((len(shown) + 1) // 2)
    for number, one in enumerate(panels, 1):
        one["id"] = number
    return {"uid": f"calmline-{name}", "title": f"Calmline: {title}", "tags": ["calmline"], "schemaVersion": 39, "editable": True,
            "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "templating": {"list": variables()}, "panels": panels}


def panel(title, unit, queries, place):
    targets = [{"refId": chr(ord("A") + number), "expr": expr, "legendFormat": legend, "datasource": SOURCE} | exemplars(expr)
               for number, (expr, legend) in enumerate(queries)]
    defaults = {"unit": unit, "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}}
    return {"type": "timeseries", "title": title, "datasource": SOURCE, "gridPos": place, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}}


def exemplars(expr):
    """Buckets of what calls are measured by name the last call that fell into them; ticks are nobody's."""
    return {"exemplar": True} if expr.startswith("histogram_quantile") and "tick_lateness" not in expr else {}


def variables():
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    query = lambda name, label, what: {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "query": what, "refresh": 2, "includeAll": True,
        "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}
    return [source, query("job", "Job", "label_values(calmline_build_info, job)"),
            query("instance", "Node", 'label_values(calmline_build_info{job=~"$job"}, instance)')]


def main():
    folder = pathlib.Path(__file__).parent
    for name, (title, rows) in DASHBOARDS.items():
        text = json.dumps(dashboard(name, title, rows), indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
