//! A report as a workbook (XLSX, ECMA-376): what people read on the first sheet, with charts that go with its numbers, and every
//! figure on the second one, as in the table.

use rust_xlsxwriter::{
    Chart, ChartType, Color, DocProperties, ExcelDateTime, Format, FormatAlign, Workbook, Worksheet, XlsxError,
};

use super::sections::{Cell, Grid, Picture, levels, sections, span, title};
use super::table::rows;
use super::{Language, Report, share};

/// Colours of the parts of bars, as in the pictures of pages.
const COLOURS: [u32; 3] = [0x0056_B4E9, 0x00E6_9F00, 0x00D5_5E00];
/// Beside the numbers of a picture: its chart, in this column, over so many rows.
const CHART_COLUMN: u16 = 5;
const CHART_ROWS: u32 = 16;

/// The workbook. The same report gives the same bytes.
///
/// # Errors
/// When a workbook cannot hold it.
pub(super) fn workbook(report: &Report, language: Language) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // The day that it is of, not the one on which it was written.
    let of = ExcelDateTime::parse_from_str(&report.to)?;
    let heading = format!("{} {}", title(language), span(report, language));
    workbook.set_properties(&DocProperties::new().set_title(heading).set_creation_datetime(&of));
    let mut sheet = Sheet::new(language.of("报告", "Report"))?;
    sheet.heading(title(language), &span(report, language))?;
    for section in sections(report, language) {
        sheet.title(section.title)?;
        for picture in &section.pictures {
            sheet.picture(picture, language)?;
        }
        for grid in &section.grids {
            sheet.grid(grid)?;
        }
        if let Some(note) = section.note {
            sheet.note(note)?;
        }
    }
    workbook.push_worksheet(sheet.worksheet);
    workbook.push_worksheet(figures(report, language)?);
    workbook.save_to_buffer()
}

/// The sheet that people read, and the next free row of it.
struct Sheet {
    name: &'static str,
    worksheet: Worksheet,
    row: u32,
    bold: Format,
    grey: Format,
}

impl Sheet {
    fn new(name: &'static str) -> Result<Self, XlsxError> {
        let mut worksheet = Worksheet::new();
        worksheet.set_name(name)?;
        worksheet.set_column_width(0, 34)?;
        for column in 1..16 {
            worksheet.set_column_width(column, 14)?;
        }
        let grey = Format::new().set_font_color(Color::RGB(0x006E_6E6E));
        Ok(Self { name, worksheet, row: 0, bold: Format::new().set_bold(), grey })
    }

    fn heading(&mut self, title: &str, span: &str) -> Result<(), XlsxError> {
        let large = Format::new().set_bold().set_font_size(16);
        self.worksheet.write_string_with_format(0, 0, title, &large)?;
        self.worksheet.write_string_with_format(1, 0, span, &self.grey)?;
        self.row = 3;
        Ok(())
    }

    fn title(&mut self, title: &str) -> Result<(), XlsxError> {
        let large = Format::new().set_bold().set_font_size(13);
        self.worksheet.write_string_with_format(self.row, 0, title, &large)?;
        self.row += 1;
        Ok(())
    }

    fn note(&mut self, note: &str) -> Result<(), XlsxError> {
        self.worksheet.write_string_with_format(self.row - 1, 0, note, &self.grey)?;
        self.row += 1;
        Ok(())
    }

    /// The numbers, and beside them their chart.
    fn picture(&mut self, picture: &Picture, language: Language) -> Result<(), XlsxError> {
        let first = self.row;
        self.worksheet.write_string_with_format(first, 0, picture.caption, &self.grey)?;
        let mut chart = Chart::new(ChartType::ColumnStacked);
        let last = first + u32::try_from(picture.bars.len()).unwrap_or(u32::MAX);
        for ((level, colour), column) in levels(language).into_iter().zip(COLOURS).zip(1_u16..) {
            self.worksheet.write_string_with_format(first, column, level, &self.bold)?;
            let series = chart.add_series();
            series.set_name((self.name, first, column));
            series.set_categories((self.name, first + 1, 0, last, 0));
            series.set_values((self.name, first + 1, column, last, column));
            series.set_format(
                rust_xlsxwriter::ChartFormat::new()
                    .set_solid_fill(rust_xlsxwriter::ChartSolidFill::new().set_color(Color::RGB(colour))),
            );
        }
        for (bar, row) in picture.bars.iter().zip(first + 1..) {
            self.worksheet.write_string(row, 0, &bar.name)?;
            for (count, column) in bar.levels.into_iter().zip(1_u16..) {
                self.worksheet.write_number(row, column, count as f64)?;
            }
        }
        chart.set_width(640).set_height(300);
        self.worksheet.insert_chart(first, CHART_COLUMN, &chart)?;
        self.row = last.max(first + CHART_ROWS) + 2;
        Ok(())
    }

    /// A table. A share takes two columns: how many, and of how many as a percentage.
    fn grid(&mut self, grid: &Grid) -> Result<(), XlsxError> {
        let columns = grid.rows.iter().map(Vec::len).max().unwrap_or_default().max(grid.head.len());
        let wide: Vec<u16> = (0..columns)
            .map(|column| grid.rows.iter().filter_map(|row| row.get(column)).map(numbers).max().unwrap_or(1))
            .collect();
        if !grid.head.is_empty() {
            let mut column = 0;
            for (name, wide) in grid.head.iter().zip(&wide) {
                self.worksheet.write_string_with_format(self.row, column, *name, &self.bold)?;
                column += wide;
            }
            self.row += 1;
        }
        for row in &grid.rows {
            let mut column = 0;
            for (cell, wide) in row.iter().zip(&wide) {
                self.cell(column, cell)?;
                column += wide;
            }
            self.row += 1;
        }
        self.row += 1;
        Ok(())
    }

    fn cell(&mut self, column: u16, cell: &Cell) -> Result<(), XlsxError> {
        let percent = Format::new().set_num_format("0.0 %");
        let seconds = Format::new().set_num_format("0.0 \"s\"");
        let decimal = Format::new().set_num_format("0.00");
        let (row, sheet) = (self.row, &mut self.worksheet);
        let mut number = |more: u16, value: Option<f64>, format: &Format| match value {
            Some(value) => sheet.write_number_with_format(row, column + more, value, format).map(drop),
            None => sheet
                .write_string_with_format(row, column + more, "–", &Format::new().set_align(FormatAlign::Right))
                .map(drop),
        };
        let whole = Format::new();
        match cell {
            Cell::Text(text) => sheet.write_string(row, column, text).map(drop),
            Cell::Count(count) => number(0, Some(*count as f64), &whole),
            Cell::Share(part, of) => {
                number(0, Some(*part as f64), &whole)?;
                number(1, share(*part, *of), &percent)
            }
            Cell::Part(part) => number(0, *part, &percent),
            Cell::Mean(mean, of) => {
                number(0, *mean, &decimal)?;
                number(1, Some(*of as f64), &whole)
            }
            Cell::Time(ms) => number(0, ms.map(in_seconds), &seconds),
            Cell::Times(points) => {
                points.iter().zip(0..).try_for_each(|(ms, at)| number(at, ms.map(in_seconds), &seconds))
            }
        }
    }
}

/// How many columns a value takes.
fn numbers(cell: &Cell) -> u16 {
    match cell {
        Cell::Share(..) | Cell::Mean(..) => 2,
        Cell::Times(points) => points.len() as u16,
        Cell::Text(_) | Cell::Count(_) | Cell::Part(_) | Cell::Time(_) => 1,
    }
}

fn in_seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

/// Every figure, to be filtered and added up.
fn figures(report: &Report, language: Language) -> Result<Worksheet, XlsxError> {
    let mut sheet = Worksheet::new();
    sheet.set_name(language.of("数据", "Figures"))?;
    let bold = Format::new().set_bold();
    for (name, column) in ["part", "name", "figure", "value"].into_iter().zip(0_u16..) {
        sheet.write_string_with_format(0, column, name, &bold)?;
        sheet.set_column_width(column, 24)?;
    }
    let mut last = 0;
    for (line, row) in rows(report).into_iter().zip(1_u32..) {
        sheet.write_string(row, 0, line.part)?;
        sheet.write_string(row, 1, &line.name)?;
        sheet.write_string(row, 2, &line.figure)?;
        sheet.write_number(row, 3, line.value as f64)?;
        last = row;
    }
    sheet.set_freeze_panes(1, 0)?;
    sheet.autofilter(0, 0, last, 3)?;
    Ok(sheet)
}
