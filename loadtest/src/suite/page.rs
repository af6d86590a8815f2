//! A report as one page: nothing of it comes from elsewhere, and it can be read by day and by night.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::figure;
use super::section::{Conditions, Outcome, Plot, Report, Section, Table, Verdict};

/// The page.
pub fn page(report: &Report) -> String {
    let sections = &report.sections;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Calmline under load" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Calmline under load" }
                    p { "Telephones of our own on loopback against one server; every section says where and when." }
                }
                (summary(sections))
                @for each in sections { (section(each)) }
            }
        }
    };
    markup.into_string()
}

fn summary(sections: &[Section]) -> Markup {
    html! {
        nav { table {
            thead { tr { th { "stage" } th { "outcome" } th { "claims that hold" } } }
            tbody { @for each in sections {
                tr {
                    td { a href={ "#" (each.stage) } { (each.title) } }
                    td { (outcome(&each.outcome)) }
                    td { (claims(&each.verdicts)) }
                }
            } }
        } }
    }
}

fn claims(verdicts: &[Verdict]) -> Markup {
    let holding = verdicts.iter().filter(|verdict| verdict.holds).count();
    html! {
        @if !verdicts.is_empty() {
            span class=(if holding == verdicts.len() { "good" } else { "bad" }) { (holding) " of " (verdicts.len()) }
        }
    }
}

fn outcome(outcome: &Outcome) -> Markup {
    match outcome {
        Outcome::Done => html! { span.good { "done" } },
        Outcome::Skipped(why) => html! { span { "skipped: " (why) } },
        Outcome::Failed(why) => html! { span.bad { "failed: " (why) } },
    }
}

fn section(section: &Section) -> Markup {
    html! {
        section id=(section.stage) {
            h2 { (section.title) }
            p { (section.what) }
            @if section.outcome != Outcome::Done { p { (outcome(&section.outcome)) } }
            @if !section.verdicts.is_empty() {
                ul.verdicts { @for verdict in &section.verdicts {
                    li class=(if verdict.holds { "good" } else { "bad" }) {
                        b { (if verdict.holds { "holds" } else { "does not hold" }) } " · " (verdict.claim) ": " (verdict.found)
                    }
                } }
            }
            @for each in &section.plots { (plot(each)) }
            @for each in &section.tables { (table(each)) }
            (conditions(&section.conditions))
        }
    }
}

fn plot(plot: &Plot) -> Markup {
    html! {
        figure {
            figcaption { (plot.title) }
            @match figure::draw(plot) {
                Ok(picture) => (PreEscaped(picture)),
                Err(error) => p { "not drawn: " (error) },
            }
        }
    }
}

fn table(table: &Table) -> Markup {
    html! {
        div.wide { table {
            caption { (table.title) }
            thead { tr { @for column in &table.columns { th { (column) } } } }
            tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
        } }
    }
}

fn conditions(conditions: &Conditions) -> Markup {
    let Conditions { began, seconds, machine, build, processors, load, others_cores } = conditions;
    html! {
        p.conditions {
            (began) ", " (format!("{seconds:.0}")) " s · " (machine) " · " (build) " · " (processors)
            " · load " (format!("{:.1} before, {:.1} after", load[0], load[1]))
            " · other work took " (format!("{others_cores:.2}")) " processors on average"
        }
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2126; --soft: #5b6570; --line: #d5dae0; --ground: #fff; --good: #00684a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --soft: #a3adb8; --line: #39424c; --ground: #14181c; --good: #4fc79b; --bad: #ff8a80; }
}
body { font: 16px/1.5 Helvetica, Arial, 'Noto Sans', sans-serif; color: var(--ink); background: var(--ground);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
a { color: inherit; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: .6rem 0 .2rem; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: normal; }
.wide { overflow-x: auto; }
.good { color: var(--good); } .bad { color: var(--bad); }
.verdicts { padding-left: 1.2rem; }
figure { margin: 1rem 0; } figcaption { font-weight: bold; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--soft); }
.conditions { color: var(--soft); font-size: .85rem; }
";
