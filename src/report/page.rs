//! A report as a page: one HTML file with its pictures, nothing loaded from anywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{ChartError, svg};
use super::sections::{Grid, Section, sections, span, title};
use super::{Language, Report};

const STYLE: &str = "body{font:15px/1.5 Helvetica,Arial,'Noto Sans','Noto Sans CJK SC',sans-serif;color:#262626;\
    max-width:60rem;margin:2rem auto;padding:0 1rem}h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.3rem .6rem;border-bottom:1px solid #e4e4e4}\
    th:first-child,td:first-child{text-align:left}p.note{color:#6e6e6e}svg{max-width:100%;height:auto}";

/// The page.
///
/// # Errors
/// When a picture cannot be drawn.
pub(super) fn page(report: &Report, language: Language) -> Result<String, ChartError> {
    let mut parts = Vec::new();
    for section in sections(report, language) {
        parts.push(part(&section, language)?);
    }
    Ok(whole(report, language, &parts))
}

/// The page for programs that read mail, which show no pictures of this kind.
pub fn mail_page(report: &Report, language: Language) -> String {
    let mut sections = sections(report, language);
    sections.retain(|section| !section.grids.is_empty());
    let parts: Vec<Markup> = sections.iter().map(text).collect();
    whole(report, language, &parts)
}

/// What a mail with a report says that it is.
pub fn subject(report: &Report, language: Language) -> String {
    let Report { from, to, zone, .. } = report;
    let days = if from == to { from.clone() } else { format!("{from}/{to}") };
    format!("{} {days} ({zone})", title(language))
}

fn whole(report: &Report, language: Language, parts: &[Markup]) -> String {
    let whole = html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title(language)) " " (span(report, language)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title(language)) }
                p { (span(report, language)) }
                @for part in parts { (part) }
            }
        }
    };
    whole.into_string()
}

fn part(section: &Section, language: Language) -> Result<Markup, ChartError> {
    let mut drawn = Vec::new();
    for picture in &section.pictures {
        drawn.push((picture.caption, svg(&picture.bars, language)?));
    }
    Ok(html! {
        h2 { (section.title) }
        @for (caption, svg) in &drawn {
            p.note { (caption) }
            (PreEscaped(svg))
        }
        (tables(section))
    })
}

/// A part without its pictures.
fn text(section: &Section) -> Markup {
    html! {
        h2 { (section.title) }
        (tables(section))
    }
}

fn tables(section: &Section) -> Markup {
    html! {
        @for grid in &section.grids { (table(grid)) }
        @if let Some(note) = section.note { p.note { (note) } }
    }
}

fn table(grid: &Grid) -> Markup {
    html! {
        table {
            @if !grid.head.is_empty() { tr { @for name in &grid.head { th { (name) } } } }
            @for row in &grid.rows { tr { @for cell in row { td { (cell.text()) } } } }
        }
    }
}
