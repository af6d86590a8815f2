//! What a report says, part by part, in the order in which it is read: every form that people read is written from this.

use std::collections::BTreeMap;

use super::{Figures, Language, Report, Spread, share};

/// One part of a report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) pictures: Vec<Picture>,
    pub(super) grids: Vec<Grid>,
    pub(super) note: Option<&'static str>,
}

/// Calls over time, to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) caption: &'static str,
    pub(super) bars: Vec<Bar>,
}

/// Calls of one time: how many with low, medium and high anger at the highest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) levels: [u64; 3],
}

/// What the parts of a bar are called.
pub(super) fn levels(language: Language) -> [&'static str; 3] {
    [language.of("低", "low"), language.of("中", "medium"), language.of("高", "high")]
}

/// A table. What is in the first column names the row.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Grid {
    /// Empty where the rows say it all.
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Cell>>,
}

/// A value in a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Text(String),
    Count(u64),
    /// So many of so many.
    Share(u64, u64),
    /// 0-1; nothing of nothing.
    Part(Option<f64>),
    /// A mean, and of how many.
    Mean(Option<f64>, u64),
    /// Milliseconds.
    Time(Option<u64>),
    /// The median, and what 90 % and 99 % stay within, milliseconds.
    Times([Option<u64>; 3]),
}

impl Cell {
    /// As people read it.
    pub(super) fn text(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Count(count) => count.to_string(),
            Cell::Share(part, whole) => format!("{part} ({})", percent(share(*part, *whole))),
            Cell::Part(part) => percent(*part),
            Cell::Mean(mean, of) => mean.map_or_else(nothing, |mean| format!("{mean:.2} ({of})")),
            Cell::Time(ms) => ms.map_or_else(nothing, seconds),
            Cell::Times(points) => points.map(|ms| ms.map_or_else(nothing, seconds)).join(" / "),
        }
    }
}

/// The title of every report.
pub(super) fn title(language: Language) -> &'static str {
    language.of("通话情绪报告", "Calls and moods")
}

/// The days that a report is of, and where; and what is missing of them.
pub(super) fn span(report: &Report, language: Language) -> String {
    let Report { from, to, zone, complete_from, .. } = report;
    let days = if from == to { format!("{from} · {zone}") } else { format!("{from} – {to} · {zone}") };
    let Some(first) = complete_from else { return days };
    match language {
        Language::Zh => format!("{days} · 不完整：{first} 之前的来电已不再保存"),
        Language::En => format!("{days} · not whole: calls from before {first} are kept no longer"),
    }
}

/// All parts of a report.
pub(super) fn sections(report: &Report, language: Language) -> Vec<Section> {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let mut sections = vec![
        overview(&report.total, language),
        pictures(report, language),
        effect(report, language),
        outcomes(report, language),
    ];
    for (title, table) in [
        (t("线路", "Routes"), &report.by_route),
        (t("渠道", "Channels"), &report.by_channel),
        (t("场景", "Scenarios"), &report.by_scenario),
    ] {
        sections.push(Section { title, pictures: Vec::new(), grids: vec![groups(table, language)], note: None });
    }
    sections.extend([served(report, language), causes(report, language), insights(report, language)]);
    sections
}

fn overview(total: &Figures, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let rows = [
        (t("来电", "Calls"), Cell::Count(total.calls)),
        (t("已接通", "Answered"), Cell::Share(total.answered, total.calls)),
        (t("高度愤怒", "High anger"), Cell::Share(total.high, total.calls)),
        (t("中度愤怒", "Medium anger"), Cell::Share(total.medium, total.calls)),
        (t("自动完成（未转接）", "Automation (moved to nobody)"), Cell::Part(total.automation())),
        (t("已转接", "Moved"), Cell::Share(total.moved, total.calls)),
        (t("转接失败", "Could not be moved"), Cell::Share(total.move_failed, total.calls)),
        (t("告警", "Alerts"), Cell::Count(total.alerts)),
        (t("班长介入", "With a supervisor"), Cell::Share(total.supervised, total.calls)),
        (t("有客户或订单资料", "With business data"), Cell::Share(total.informed, total.calls)),
        (t("接通用时", "Until answered"), times(&total.setup)),
        (t("接通到高度愤怒", "From the answer to high anger"), times(&total.until_high)),
        (t("高度愤怒到处理", "From high anger to what was done"), times(&total.reaction)),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![Cell::Text(name.to_owned()), value]).collect();
    Section {
        title: t("概览", "Overview"),
        pictures: Vec::new(),
        grids: vec![Grid { head: Vec::new(), rows }],
        note: Some(t("用时：中位数 / 90% / 99%；时间按 5% 分档。", "Times: median / 90 % / 99 %, rounded to 5 %.")),
    }
}

fn pictures(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let bar = |name: String, figures: Option<&Figures>| {
        let levels = figures.map_or([0; 3], |figures| [figures.low, figures.medium, figures.high]);
        Bar { name, levels }
    };
    let hours = (0..24).map(|hour| bar(hour.to_string(), report.by_hour.get(&hour))).collect();
    let days: Vec<Bar> =
        report.by_day.iter().map(|(day, figures)| bar(day.get(5..).unwrap_or(day).to_owned(), Some(figures))).collect();
    let mut pictures = Vec::new();
    if days.len() > 1 {
        pictures.push(Picture { caption: t("按日期", "By day"), bars: days });
    }
    pictures
        .push(Picture { caption: t("按来电时间（小时）", "By the hour in which calls came"), bars: hours });
    let title = t("按最高愤怒程度", "By the highest anger of the caller");
    Section { title, pictures, grids: Vec::new(), note: None }
}

fn effect(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let row = |(name, figures): (&str, &Figures)| {
        let Figures { high, acted, acted_calmed, left, left_calmed, .. } = *figures;
        let all = Cell::Share(acted_calmed + left_calmed, high);
        let calmed = [share(acted_calmed, acted), share(left_calmed, left)].map(Cell::Part);
        let [acted_calmed, left_calmed] = calmed;
        vec![
            Cell::Text(name.to_owned()),
            Cell::Count(high),
            all,
            Cell::Count(acted),
            acted_calmed,
            Cell::Count(left),
            left_calmed,
        ]
    };
    let calm = t("其中平息", "calm at the end");
    Section {
        title: t("处理效果", "What acting did"),
        pictures: Vec::new(),
        grids: vec![Grid {
            head: vec![
                "",
                t("高度愤怒", "High anger"),
                calm,
                t("有处理", "Acted"),
                calm,
                t("无处理", "Left alone"),
                calm,
            ],
            rows: named(report, [&report.by_group], language).map(row).collect(),
        }],
        note: Some(t(
            "仅高度愤怒的通话。“平息”指结束时愤怒为低。策略对照组之间请比较第一个“其中平息”：分组是随机的；有处理、无处理两列不是随机分组。",
            "Calls with high anger. Calm: low anger at the end. Compare the groups of a policy by the first share of calm ones: lots were drawn who is in which group, and not who was acted on.",
        )),
    }
}

fn outcomes(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let row = |(name, Figures { outcomes, .. }): (&str, &Figures)| {
        vec![
            Cell::Text(name.to_owned()),
            Cell::Share(outcomes.complaints, outcomes.complaint_known),
            Cell::Mean(outcomes.satisfaction(), outcomes.satisfaction_known),
            Cell::Share(outcomes.repurchased, outcomes.repurchase_known),
            Cell::Share(outcomes.resolved, outcomes.resolution_known),
        ]
    };
    Section {
        title: t("服务结果", "What came of calls"),
        pictures: Vec::new(),
        grids: vec![Grid {
            head: vec![
                "",
                t("投诉", "Complaints"),
                t("满意度（1-5）", "Satisfaction (1-5)"),
                t("复购", "Bought again"),
                t("已解决", "Settled"),
            ],
            rows: named(report, [&report.by_channel, &report.by_group], language).map(row).collect(),
        }],
        note: Some(t(
            "由其他系统经接口告知；百分比只计已知结果的通话，与全部通话不同。",
            "As other systems say; shares are of those calls alone of which they say it.",
        )),
    }
}

fn groups(table: &BTreeMap<String, Figures>, language: Language) -> Grid {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let row = |(name, figures): (&String, &Figures)| {
        vec![
            Cell::Text(name.clone()),
            Cell::Count(figures.calls),
            Cell::Share(figures.high, figures.calls),
            Cell::Share(figures.moved, figures.calls),
            Cell::Count(figures.alerts),
            Cell::Time(figures.reaction.at(0.5)),
        ]
    };
    Grid {
        head: vec![
            "",
            t("来电", "Calls"),
            t("高", "High"),
            t("转接", "Moved"),
            t("告警", "Alerts"),
            t("处理用时（中位数）", "Reaction (median)"),
        ],
        rows: table.iter().map(row).collect(),
    }
}

/// By who spoke to callers last: a bot, a queue, an agent.
fn served(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let row = |(name, figures): (&String, &Figures)| {
        let Figures { calls, answered, talk_ms, high, acted_calmed, left_calmed, outcomes, .. } = figures;
        vec![
            Cell::Text(name.clone()),
            Cell::Count(*calls),
            Cell::Time(talk_ms.checked_div(*answered)),
            Cell::Share(*high, *calls),
            Cell::Part(share(acted_calmed + left_calmed, *high)),
            Cell::Share(outcomes.complaints, outcomes.complaint_known),
            Cell::Mean(outcomes.satisfaction(), outcomes.satisfaction_known),
        ]
    };
    let head = vec![
        "",
        t("来电", "Calls"),
        t("平均通话", "Talk (mean)"),
        t("高", "High"),
        t("其中平息", "calm at the end"),
        t("投诉", "Complaints"),
        t("满意度", "Satisfaction"),
    ];
    Section {
        title: t("坐席与队列（最后接听方）", "Agents and queues (who spoke to the caller last)"),
        pictures: Vec::new(),
        grids: vec![Grid { head, rows: report.by_target.iter().map(row).collect() }],
        note: None,
    }
}

/// What reports say of the judging itself, and of the server.
fn insights(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let (warnings, known, minutes, calls) =
        (&report.warnings, &report.completeness, &report.minutes, report.total.calls);
    let outcomes = &report.total.outcomes;
    let drift = match report.drift() {
        Some((day, drift)) => format!("{drift:.2} ({day})"),
        None => nothing(),
    };
    let rows = [
        (t("预警（其中随后高度愤怒）", "Early warnings that were right"), Cell::Share(warnings.right, warnings.warned)),
        (t("高度愤怒前无预警", "High anger without one before"), Cell::Share(warnings.missed, report.total.high)),
        (t("预警提前量", "From the warning to high anger"), times(&warnings.lead)),
        (t("有情绪数据的来电", "Calls that were judged"), Cell::Share(known.judged, calls)),
        (t("有话语数据的来电", "Calls with words"), Cell::Share(known.worded, calls)),
        (t("记录中断的来电", "Calls cut off with the program"), Cell::Share(known.torn, calls)),
        (t("已知是否投诉", "Of which a complaint is known or ruled out"), Cell::Share(outcomes.complaint_known, calls)),
        (t("已知满意度", "Of which satisfaction is known"), Cell::Share(outcomes.satisfaction_known, calls)),
        (t("愤怒分布漂移（PSI，最大日）", "Drift of the highest anger (PSI, worst day)"), Cell::Text(drift)),
        (t("系统运行", "The server was up"), Cell::Part(share(minutes.up, minutes.known))),
        (t("系统可接通话", "The server took calls"), Cell::Part(share(minutes.ready, minutes.known))),
    ];
    let rows = rows.into_iter().map(|(name, value)| vec![Cell::Text(name.to_owned()), value]).collect();
    Section {
        title: t("预警、数据与系统", "Warnings, data and the server"),
        pictures: Vec::new(),
        grids: vec![Grid { head: Vec::new(), rows }],
        note: Some(t(
            "漂移：某日最高愤怒分布相对整段时间的群体稳定性指数，0.1 以下很小，0.25 以上明显；每日少于 100 通不计。可用率按分钟计，自首次记录起。",
            "Drift: how far a day's highest anger is from that of the whole time (population stability index): below 0.1 little, above 0.25 much; days of fewer than 100 calls do not count. The server's share is of minutes, since the first that was noted.",
        )),
    }
}

fn causes(report: &Report, language: Language) -> Section {
    let t = |zh: &'static str, en: &'static str| language.of(zh, en);
    let counts = |heading: &'static str, counts: &BTreeMap<String, u64>| {
        let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
        sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
        let row = |(name, count): (&String, &u64)| vec![Cell::Text(name.clone()), Cell::Count(*count)];
        Grid { head: vec![heading, t("来电", "Calls")], rows: sorted.into_iter().map(row).collect() }
    };
    let breaches = (!report.breaches.is_empty())
        .then(|| counts(t("违反的话术合规规则", "Compliance rule that was broken"), &report.breaches));
    let mut meanings: Vec<(&String, &u64)> = report.said.iter().collect();
    let high_of = |name: &String| report.said_high.get(name).copied().unwrap_or_default();
    meanings
        .sort_by_key(|(name, count)| (std::cmp::Reverse(high_of(name)), std::cmp::Reverse(**count), (*name).clone()));
    let row = |(name, count): (&String, &u64)| {
        vec![Cell::Text(language.meaning(name)), Cell::Count(*count), Cell::Share(high_of(name), *count)]
    };
    let head = vec![t("来电者说到", "What callers said"), t("来电", "Calls"), t("其中高度愤怒", "with high anger")];
    let said = Grid { head, rows: meanings.into_iter().map(row).collect() };
    Section {
        title: t("情绪与冲突原因", "Emotions and what conflicts are about"),
        pictures: Vec::new(),
        grids: [
            counts(t("规则", "Rule"), &report.rules),
            said,
            counts(t("主导情绪", "Leading emotion"), &emotions(report, language)),
        ]
        .into_iter()
        .chain(breaches)
        .collect(),
        note: None,
    }
}

/// The emotions that led calls, by the names that people have for them.
fn emotions(report: &Report, language: Language) -> BTreeMap<String, u64> {
    report.emotions.iter().map(|(name, count)| (language.emotion(name), *count)).collect()
}

/// The figures of all calls, then those of tables.
fn named<'a, const N: usize>(
    report: &'a Report,
    tables: [&'a BTreeMap<String, Figures>; N],
    language: Language,
) -> impl Iterator<Item = (&'a str, &'a Figures)> {
    let rows = tables.into_iter().flatten().map(|(name, figures)| (name.as_str(), figures));
    std::iter::once((language.of("全部", "All"), &report.total)).chain(rows)
}

fn times(spread: &Spread) -> Cell {
    Cell::Times([0.5, 0.9, 0.99].map(|share| spread.at(share)))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(nothing, |share| format!("{:.1} %", share * 100.0))
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

fn nothing() -> String {
    "–".to_owned()
}
