//! Values of Parquet as values of JSON.

use parquet::basic::{LogicalType, TimeUnit};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};

/// What a whole number in a column counts, where the library does not say it with the value.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    None,
    Days,
    /// So many in a second since 1970.
    PerSecond(i64),
}

impl Unit {
    pub(super) fn of(column: &Type) -> Self {
        match column.get_basic_info().logical_type_ref() {
            Some(LogicalType::Date) => Self::Days,
            Some(LogicalType::Timestamp(time)) => Self::PerSecond(match time.unit {
                TimeUnit::MILLIS => 1_000,
                TimeUnit::MICROS => 1_000_000,
                TimeUnit::NANOS => 1_000_000_000,
            }),
            _ => Self::None,
        }
    }
}

/// A row by the names of its columns.
pub(super) fn object(row: &Row, units: &[Unit]) -> Value {
    let units = units.iter().copied().chain(std::iter::repeat(Unit::None));
    let value = |((name, field), unit): ((&String, &Field), Unit)| (name.clone(), counted(field, unit));
    Value::Object(row.get_column_iter().zip(units).map(value).collect::<Map<_, _>>())
}

fn counted(field: &Field, unit: Unit) -> Value {
    match (unit, field) {
        (Unit::PerSecond(unit), Field::Long(count)) => seconds(*count, unit),
        (Unit::Days, Field::Int(days)) => Value::from(i64::from(*days) * 86_400),
        _ => value(field),
    }
}

/// Dates and times are seconds since 1970, what is no number is null, and bytes are a string if they are text.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(*value),
        Field::Short(value) => Value::from(*value),
        Field::Int(value) => Value::from(*value),
        Field::Long(value) => Value::from(*value),
        Field::UByte(value) => Value::from(*value),
        Field::UShort(value) => Value::from(*value),
        Field::UInt(value) => Value::from(*value),
        Field::ULong(value) => Value::from(*value),
        Field::Float16(value) => float(value.to_f64()),
        // By its digits: 4.1 is to stay 4.1.
        Field::Float(value) => float(value.to_string().parse().unwrap_or(f64::NAN)),
        Field::Double(value) => float(*value),
        Field::Decimal(_) => Value::from(field.to_string()),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::Date(days) => Value::from(i64::from(*days) * 86_400),
        Field::TimeMillis(time) => Value::from(*time),
        Field::TimeMicros(time) => Value::from(*time),
        Field::TimestampMillis(time) => seconds(*time, 1_000),
        Field::TimestampMicros(time) => seconds(*time, 1_000_000),
        Field::Group(row) => object(row, &[]),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let key = |field: &Field| value(field).as_str().map_or_else(|| field.to_string(), str::to_owned);
            Value::Object(map.entries().iter().map(|(name, field)| (key(name), value(field))).collect())
        }
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A time that counts `unit` in a second.
fn seconds(time: i64, unit: i64) -> Value {
    match time % unit {
        0 => Value::from(time / unit),
        // Whole seconds and the rest apart, so that nothing is lost of either before they are one number.
        _ => float(time.div_euclid(unit) as f64 + time.rem_euclid(unit) as f64 / unit as f64),
    }
}
