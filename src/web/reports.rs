//! `/v1/reports/DATE`: what the calls of a day, or of the week or month that it is in, add up to, in a form of choice.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use clap::ValueEnum;
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::IntoParams;

use super::calls::store_down;
use super::orders::bad;
use super::people::kept;
use super::problem::Problem;
use super::query::asked;
use super::routes::App;
use crate::report::{Language, Period, ReportFormat};
use crate::reporting::{in_turn, report_of, typeface};

/// How a report is asked for; a day's figures when nothing is said.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The `day` itself, or the `week` or `month` that it is in.
    #[param(nullable = false, default = "day")]
    period: Option<String>,
    /// `json`, `csv`, `html`, `pdf` or `xlsx`.
    #[param(nullable = false, default = "json")]
    format: Option<String>,
    /// `zh` or `en`.
    #[param(nullable = false, default = "zh")]
    language: Option<String>,
}

/// `GET /v1/reports/{date}`.
pub(super) async fn of_date(
    State(app): State<App>,
    Path(date): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Wanted { period, format, language } = asked(wanted)?;
    let period = one_of("period", period.as_deref(), Period::Day).map_err(bad)?;
    let format = one_of("format", format.as_deref(), ReportFormat::Json).map_err(bad)?;
    let language = one_of("language", language.as_deref(), Language::Zh).map_err(bad)?;
    let date: Date = date.parse().map_err(|error| bad(format!("expected a day like 2026-11-26: {error}")))?;
    let (zone, font) = {
        let live = app.live.load();
        (live.zone.clone(), live.report_font.clone())
    };
    let missing = || bad(format!("found {date}, expected a day that {} has", zone.name()));
    zone.day(date).ok_or_else(missing)?;
    let first = period.days(date).map_err(|error| bad(error.to_string()))?[0];
    let report = report_of(kept(&app)?, &zone, period, first).await.map_err(store_down)?;
    let failed = |why: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let written = in_turn(move || {
        let typeface = if format == ReportFormat::Pdf { typeface(font.as_deref())? } else { None };
        format.write(&report, language, typeface.as_ref()).map_err(|error| error.to_string())
    });
    let bytes = written.await.map_err(failed)?;
    let name = format!("inline; filename=\"{}-{}.{}\"", period.name(), period.title(first), format.name());
    Ok(([(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, name)], bytes).into_response())
}

/// A value by its name; what it is when nothing is said.
pub(super) fn one_of<T: ValueEnum>(key: &str, name: Option<&str>, default: T) -> Result<T, String> {
    let Some(name) = name else { return Ok(default) };
    T::from_str(name, false).map_err(|_| {
        let named = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = named.map(|value| value.get_name().to_owned()).collect();
        format!("{key}: expected {}, found {name:?}", names.join(", "))
    })
}
