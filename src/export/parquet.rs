//! Rows as Apache Parquet: groups of rows, each column of a group by itself; every value may be missing.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::{Cell, ExportError, Form, form};

/// Rows of a group: so many wait in memory as they are.
const GROUP_ROWS: usize = 50_000;

/// A file that is being written.
pub(super) struct Groups {
    file: SerializedFileWriter<Vec<u8>>,
    waiting: Vec<Waiting>,
    rows: usize,
}

/// One column of the group that is being filled.
struct Waiting {
    values: Values,
    /// 1 where there is a value, 0 where there is none (the "definition level").
    levels: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
}

impl Groups {
    /// Begins a file with these columns.
    pub(super) fn new(name: &str, columns: &[(&str, Form)]) -> Result<Self, ExportError> {
        let fields = columns.iter().map(|(name, form)| column(name, *form)).collect::<Result<Vec<_>, _>>();
        let schema = Type::group_type_builder(name).with_fields(fields.map_err(form)?).build().map_err(form)?;
        let by = concat!("calmline ", env!("CARGO_PKG_VERSION"));
        let properties = WriterProperties::builder().set_created_by(by.to_owned()).build();
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).map_err(form)?;
        Ok(Self { file, waiting: columns.iter().map(|(_, form)| Waiting::of(*form)).collect(), rows: 0 })
    }

    /// Adds a row; how many octets the file has so far.
    pub(super) fn add(&mut self, row: Vec<Cell<'_>>) -> Result<usize, ExportError> {
        for (column, cell) in self.waiting.iter_mut().zip(row) {
            column.push(cell);
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS {
            self.write_group().map_err(form)?;
        }
        Ok(self.file.bytes_written())
    }

    /// The whole file.
    pub(super) fn end(mut self) -> Result<Vec<u8>, ExportError> {
        if self.rows > 0 {
            self.write_group().map_err(form)?;
        }
        self.file.into_inner().map_err(form)
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for waiting in &mut self.waiting {
            let column = group.next_column()?.expect("there are as many as the schema has");
            waiting.write(column)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Waiting {
    fn of(form: Form) -> Self {
        let values = match form {
            Form::Text => Values::Text(Vec::new()),
            Form::Whole | Form::Time => Values::Whole(Vec::new()),
            Form::Real => Values::Real(Vec::new()),
            Form::Flag => Values::Flag(Vec::new()),
        };
        Self { values, levels: Vec::new() }
    }

    /// Adds a value; nothing where it is not of the column's form.
    fn push(&mut self, cell: Cell<'_>) {
        let is_there = match (&mut self.values, cell) {
            (Values::Text(values), Cell::Text(text)) => {
                values.push(text.into_owned().into_bytes().into());
                true
            }
            (Values::Whole(values), Cell::Whole(number)) => {
                values.push(number);
                true
            }
            (Values::Whole(values), Cell::Time(moment)) => {
                values.push(i64::try_from(moment.0).unwrap_or(i64::MAX));
                true
            }
            (Values::Real(values), Cell::Real(number)) => {
                values.push(number);
                true
            }
            (Values::Flag(values), Cell::Flag(so)) => {
                values.push(so);
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(is_there));
    }

    /// Writes what waits, and forgets it.
    fn write(&mut self, mut column: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &mut self.values {
            Values::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Whole(values) => {
                column.typed::<Int64Type>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Real(values) => {
                column.typed::<DoubleType>().write_batch(values, levels, None)?;
                values.clear();
            }
            Values::Flag(values) => {
                column.typed::<BoolType>().write_batch(values, levels, None)?;
                values.clear();
            }
        }
        self.levels.clear();
        column.close()
    }
}

fn column(name: &str, form: Form) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match form {
        Form::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Form::Whole => (Physical::INT64, None),
        Form::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
        Form::Real => (Physical::DOUBLE, None),
        Form::Flag => (Physical::BOOLEAN, None),
    };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(builder.with_logical_type(logical).build()?))
}
