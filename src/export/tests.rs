//! Tables are read back by others as they were written.

use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
use ::parquet::record::Field;
use bytes::Bytes;

use super::*;
use crate::notice_samples::one_of_each;
use crate::report::CallFacts;

#[test]
fn every_form_of_every_table_says_the_same() {
    let record = record();
    for table in ExportTable::ALL {
        let columns: Vec<&str> = table.columns().iter().map(|(name, _)| *name).collect();
        let json = String::from_utf8(written(table, ExportFormat::Json, &record, 1)).expect("text");
        let objects: Vec<serde_json::Map<String, serde_json::Value>> =
            json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        assert!(!objects.is_empty(), "{}", table.name());

        let mut csv = csv::Reader::from_reader(std::io::Cursor::new(written(table, ExportFormat::Csv, &record, 1)));
        assert_eq!(csv.headers().expect("names").iter().collect::<Vec<_>>(), columns);
        let lines: Vec<csv::StringRecord> = csv.records().map(|line| line.expect("a line")).collect();

        let parquet = written(table, ExportFormat::Parquet, &record, 1);
        // For other readers, by hand.
        if let Some(folder) = std::env::var_os("CALMLINE_WRITE_EXPORTS") {
            let file = std::path::Path::new(&folder).join(format!("{}.parquet", table.name()));
            std::fs::write(file, &parquet).expect("written");
        }
        let rows = rows_of(parquet);
        assert_eq!((lines.len(), rows.len()), (objects.len(), objects.len()), "{}", table.name());
        for ((object, line), row) in objects.iter().zip(&lines).zip(&rows) {
            for (((name, field), value), written) in row.iter().zip(object.values_in(&columns)).zip(line) {
                let expected = plain(&value);
                assert_eq!(said(field), expected, "{}.{name}", table.name());
                assert_eq!(written.trim_start_matches('\''), expected, "{}.{name}", table.name());
            }
        }
    }
}

#[test]
fn a_call_is_a_row_with_what_has_come_of_it_and_names_nobody() {
    let record = record();
    let json = String::from_utf8(written(ExportTable::Calls, ExportFormat::Json, &record, 1)).expect("text");
    let row: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        (&row["call"], &row["route"], &row["tenant"]),
        (&"call-1".into(), &"after-sales".into(), &"shop".into())
    );
    assert_eq!(row["started"], "2023-11-14T22:13:20.000Z");
    for table in ExportTable::ALL {
        for format in [ExportFormat::Parquet, ExportFormat::Csv, ExportFormat::Json] {
            let octets = written(table, format, &record, 1);
            let is_in = |secret: &str| octets.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_in("13800138000") && !is_in("pbx.example"), "{} {}", table.name(), format.name());
        }
    }
}

#[test]
fn groups_of_rows_follow_one_another() {
    let record = record();
    let each = rows::rows(ExportTable::Calls, &record, &CallFacts::from(&record)).len();
    let times = 50_001;
    let octets = written(ExportTable::Calls, ExportFormat::Parquet, &record, times);
    let file = SerializedFileReader::new(Bytes::from(octets)).expect("a file");
    let groups: Vec<i64> = file.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [50_000, (times * each) as i64 - 50_000]);
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let octets = ExportWriter::new(ExportTable::Decisions, ExportFormat::Parquet).and_then(ExportWriter::end);
    let file = SerializedFileReader::new(Bytes::from(octets.expect("a file"))).expect("a file");
    assert_eq!(file.metadata().file_metadata().schema_descr().num_columns(), ExportTable::Decisions.columns().len());
}

/// A call of which everything was told.
fn record() -> CallRecord {
    let began = 1_700_000_000_000;
    let mut record = None;
    for notice in one_of_each().into_iter().filter(|notice| notice.call == "call-1") {
        let now = Moment(began + notice.call_ms);
        if let crate::notice::What::CallStarted { from, to, route, scenario, .. } = &notice.what {
            record = Some(CallRecord::new(&notice.call, from, to, route, scenario, now));
        }
        record.iter_mut().for_each(|record| record.apply(&notice, now));
    }
    record.expect("it has begun")
}

fn written(table: ExportTable, format: ExportFormat, record: &CallRecord, times: usize) -> Vec<u8> {
    let mut writer = ExportWriter::new(table, format).expect("begun");
    let facts = CallFacts::from(record);
    (0..times).for_each(|_| writer.add(record, &facts).expect("there is room"));
    writer.end().expect("a file")
}

fn rows_of(octets: Vec<u8>) -> Vec<Vec<(String, Field)>> {
    let file = SerializedFileReader::new(Bytes::from(octets)).expect("a file");
    let rows = file.get_row_iter(None).expect("rows");
    rows.map(|row| row.expect("a row").get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect())
        .collect()
}

trait InOrder {
    fn values_in(&self, columns: &[&str]) -> Vec<serde_json::Value>;
}

impl InOrder for serde_json::Map<String, serde_json::Value> {
    fn values_in(&self, columns: &[&str]) -> Vec<serde_json::Value> {
        columns.iter().map(|name| self[*name].clone()).collect()
    }
}

/// A value of JSON as it stands in a line.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value of Parquet as it stands in a line.
fn said(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Long(number) => number.to_string(),
        Field::Double(number) => serde_json::json!(number).to_string(),
        Field::Bool(so) => so.to_string(),
        Field::TimestampMillis(unix_ms) => Moment(u64::try_from(*unix_ms).expect("after 1970")).to_string(),
        other => panic!("no column has {other:?}"),
    }
}
