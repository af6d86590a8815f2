//! A report as a page: one HTML file with its pictures, nothing loaded from anywhere.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{ChartError, bars};
use super::{Figures, Language, Report, Spread, share};

const STYLE: &str = "body{font:15px/1.5 Helvetica,Arial,'Noto Sans','Noto Sans CJK SC',sans-serif;color:#262626;\
    max-width:60rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #e4e4e4}\
    th:first-child,td:first-child{text-align:left}p.note{color:#6e6e6e}svg{max-width:100%;height:auto}";

/// The page.
///
/// # Errors
/// When a picture cannot be drawn.
pub fn page(report: &Report, language: Language) -> Result<String, ChartError> {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let title = t("通话情绪报告", "Calls and moods");
    let none = Figures::default();
    let hours: Vec<(String, &Figures)> =
        (0..24).map(|hour| (hour.to_string(), report.by_hour.get(&hour).unwrap_or(&none))).collect();
    let days: Vec<(String, &Figures)> =
        report.by_day.iter().map(|(day, figures)| (day.get(5..).unwrap_or(day).to_owned(), figures)).collect();
    let body = html! {
        h1 { (title) }
        p { (span(report)) " · " (report.zone) }
        (overview(&report.total, language))
        h2 { (t("按最高愤怒程度", "By the highest anger of the caller")) }
        @if days.len() > 1 {
            (PreEscaped(bars(&days, language)?))
        }
        p.note { (t("按来电时间（小时）", "By the hour in which calls came")) }
        (PreEscaped(bars(&hours, language)?))
        h2 { (t("处理效果", "What acting did")) }
        (effect(report, language))
        h2 { (t("服务结果", "What came of calls")) }
        (outcomes(report, language))
        @for (heading, table) in [
            (t("线路", "Routes"), &report.by_route),
            (t("渠道", "Channels"), &report.by_channel),
            (t("场景", "Scenarios"), &report.by_scenario),
            (t("最后接听方", "Who spoke to the caller last"), &report.by_target),
        ] {
            h2 { (heading) }
            (groups(table, language))
        }
        h2 { (t("原因", "Causes")) }
        (counts(t("规则", "Rule"), &report.rules, language))
        (counts(t("来电者说到", "What callers said"), &report.said, language))
        p.note { (t("时间分布按 5% 分档。", "Times are rounded to 5 %.")) }
    };
    let whole = html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " " (span(report)) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    Ok(whole.into_string())
}

fn span(report: &Report) -> String {
    if report.from == report.to { report.from.clone() } else { format!("{} – {}", report.from, report.to) }
}

fn overview(total: &Figures, language: Language) -> Markup {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let rows = [
        (t("来电", "Calls"), total.calls.to_string()),
        (t("已接通", "Answered"), of(total.answered, total.calls)),
        (t("高度愤怒", "High anger"), of(total.high, total.calls)),
        (t("中度愤怒", "Medium anger"), of(total.medium, total.calls)),
        (t("自动完成（未转接）", "Automation (moved to nobody)"), percent(total.automation())),
        (t("已转接", "Moved"), of(total.moved, total.calls)),
        (t("转接失败", "Could not be moved"), of(total.move_failed, total.calls)),
        (t("告警", "Alerts"), total.alerts.to_string()),
        (t("班长介入", "With a supervisor"), of(total.supervised, total.calls)),
        (t("有客户或订单资料", "With business data"), of(total.informed, total.calls)),
        (t("接通用时", "Until answered"), times(&total.setup)),
        (t("接通到高度愤怒", "From the answer to high anger"), times(&total.until_high)),
        (t("高度愤怒到处理", "From high anger to what was done"), times(&total.reaction)),
    ];
    html! {
        table { @for (name, value) in &rows { tr { td { (name) } td { (value) } } } }
        p.note { (t("用时：中位数 / 90% / 99%", "Times: median / 90 % / 99 %")) }
    }
}

fn effect(report: &Report, language: Language) -> Markup {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let all = [(t("全部", "All").to_owned(), &report.total)];
    let by_group = report.by_group.iter().map(|(group, figures)| (group.clone(), figures));
    html! {
        table {
            tr {
                th {} th { (t("有处理", "Acted")) } th { (t("其中平息", "calm at the end")) }
                th { (t("无处理", "Left alone")) } th { (t("其中平息", "calm at the end")) }
            }
            @for (name, figures) in all.into_iter().chain(by_group) {
                tr {
                    td { (name) } td { (figures.acted) } td { (percent(share(figures.acted_calmed, figures.acted))) }
                    td { (figures.left) } td { (percent(share(figures.left_calmed, figures.left))) }
                }
            }
        }
        p.note { (t(
            "仅高度愤怒的通话。“平息”指结束时愤怒为低。除策略对照组外，两列不是随机分组。",
            "Calls with high anger. Calm: low anger at the end. But for the groups of a policy, nobody drew lots who is in which column.",
        )) }
    }
}

fn outcomes(report: &Report, language: Language) -> Markup {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let all = [(t("全部", "All").to_owned(), &report.total)];
    let named = report.by_channel.iter().chain(&report.by_group).map(|(name, figures)| (name.clone(), figures));
    html! {
        table {
            tr {
                th {} th { (t("投诉", "Complaints")) } th { (t("满意度（1-5）", "Satisfaction (1-5)")) }
                th { (t("复购", "Bought again")) } th { (t("已解决", "Settled")) }
            }
            @for (name, Figures { outcomes, .. }) in all.into_iter().chain(named) {
                tr {
                    td { (name) } td { (of(outcomes.complaints, outcomes.complaint_known)) }
                    td { (outcomes.satisfaction().map_or_else(|| "–".to_owned(), |mean| format!("{mean:.2} ({})", outcomes.satisfaction_known))) }
                    td { (of(outcomes.repurchased, outcomes.repurchase_known)) }
                    td { (of(outcomes.resolved, outcomes.resolution_known)) }
                }
            }
        }
        p.note { (t(
            "由其他系统经接口告知；百分比只计已知结果的通话，与全部通话不同。",
            "As other systems say; shares are of those calls alone of which they say it.",
        )) }
    }
}

fn groups(table: &BTreeMap<String, Figures>, language: Language) -> Markup {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    html! {
        table {
            tr {
                th {} th { (t("来电", "Calls")) } th { (t("高", "High")) } th { (t("转接", "Moved")) }
                th { (t("告警", "Alerts")) } th { (t("处理用时（中位数）", "Reaction (median)")) }
            }
            @for (name, figures) in table {
                tr {
                    td { (name) } td { (figures.calls) } td { (of(figures.high, figures.calls)) } td { (of(figures.moved, figures.calls)) }
                    td { (figures.alerts) } td { (figures.reaction.at(0.5).map_or_else(|| "–".to_owned(), seconds)) }
                }
            }
        }
    }
}

fn counts(heading: &str, counts: &BTreeMap<String, u64>, language: Language) -> Markup {
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    html! {
        table {
            tr { th { (heading) } th { (language.of("来电", "Calls")) } }
            @for (name, count) in sorted { tr { td { (name) } td { (count) } } }
        }
    }
}

fn of(part: u64, whole: u64) -> String {
    format!("{part} ({})", percent(share(part, whole)))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn times(spread: &Spread) -> String {
    let points = [0.5, 0.9, 0.99].map(|share| spread.at(share).map_or_else(|| "–".to_owned(), seconds));
    points.join(" / ")
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}
