//! The forms that reports are written in.

use rust_xlsxwriter::XlsxError;

use super::page::page;
use super::pdf::pdf;
use super::sheet::workbook;
use super::table::table;
use super::{ChartError, Language, Report, Typeface};

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    /// A page with pictures.
    Html,
    /// The same on paper (ISO 32000).
    Pdf,
    /// Comma-separated values.
    Csv,
    /// All figures.
    Json,
    /// A workbook (ECMA-376).
    Xlsx,
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A picture.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// Paper needs a font.
    #[error(
        "no font for PDF: install one with Chinese characters, e.g. Debian's fonts-noto-cjk or fonts-wqy-zenhei, or name a file \
         in reports.font"
    )]
    NoFont,
    /// The document.
    #[error("cannot write the PDF: {0}")]
    Pdf(String),
    /// The workbook.
    #[error("cannot write the workbook: {0}")]
    Workbook(#[from] XlsxError),
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [ReportFormat; 5] =
        [ReportFormat::Html, ReportFormat::Pdf, ReportFormat::Csv, ReportFormat::Json, ReportFormat::Xlsx];

    /// Its name in configurations, and how its files end.
    pub fn name(self) -> &'static str {
        match self {
            ReportFormat::Html => "html",
            ReportFormat::Pdf => "pdf",
            ReportFormat::Csv => "csv",
            ReportFormat::Json => "json",
            ReportFormat::Xlsx => "xlsx",
        }
    }

    /// What it is called over HTTP and in mail.
    pub fn media_type(self) -> &'static str {
        match self {
            ReportFormat::Html => "text/html; charset=utf-8",
            ReportFormat::Pdf => "application/pdf",
            ReportFormat::Csv => "text/csv; charset=utf-8",
            ReportFormat::Json => "application/json",
            ReportFormat::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// Whether it is written for people, in a language.
    pub fn has_language(self) -> bool {
        matches!(self, ReportFormat::Html | ReportFormat::Pdf | ReportFormat::Xlsx)
    }

    /// Writes a report in this form; paper alone needs a typeface.
    ///
    /// # Errors
    /// When a picture cannot be drawn, or there is no typeface for paper that has the signs of the language.
    pub fn write(
        self,
        report: &Report,
        language: Language,
        typeface: Option<&Typeface>,
    ) -> Result<Vec<u8>, ReportError> {
        Ok(match self {
            ReportFormat::Html => page(report, language)?.into_bytes(),
            ReportFormat::Pdf => {
                let has_signs = |face: &&Typeface| language == Language::En || face.has_han();
                pdf(report, language, typeface.filter(has_signs).ok_or(ReportError::NoFont)?)?
            }
            ReportFormat::Csv => table(report).into_bytes(),
            ReportFormat::Json => serde_json::to_vec_pretty(report).expect("strings and numbers"),
            ReportFormat::Xlsx => workbook(report, language)?,
        })
    }
}
