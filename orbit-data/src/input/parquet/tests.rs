use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::input::lines;

/// The values of a column; none are null.
pub(crate) enum Column {
    Text(Vec<Option<String>>),
    Long(Vec<Option<i64>>),
    Int(Vec<Option<i32>>),
    Float(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
}

pub(crate) fn texts(values: &[&str]) -> Column {
    Column::Text(values.iter().map(|value| Some((*value).to_owned())).collect())
}

fn longs(values: &[i64]) -> Column {
    Column::Long(values.iter().copied().map(Some).collect())
}

pub(crate) fn plain() -> WriterPropertiesBuilder {
    WriterProperties::builder()
}

/// A file of these columns, all of them optional, that have `schema` without the braces around it.
pub(crate) fn file(schema: &str, columns: &[Column], properties: WriterPropertiesBuilder) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut out = group.next_column().unwrap().unwrap();
        macro_rules! write {
            ($kind:ty, $values:expr, $convert:expr) => {{
                let levels: Vec<i16> = $values.iter().map(|value| i16::from(value.is_some())).collect();
                let values: Vec<_> = $values.iter().flatten().map($convert).collect();
                out.typed::<$kind>().write_batch(&values, Some(&levels), None).unwrap();
            }};
        }
        match column {
            Column::Text(values) => write!(ByteArrayType, values, |text| ByteArray::from(text.as_str())),
            Column::Long(values) => write!(Int64Type, values, |value| *value),
            Column::Int(values) => write!(Int32Type, values, |value| *value),
            Column::Float(values) => write!(FloatType, values, |value| *value),
            Column::Double(values) => write!(DoubleType, values, |value| *value),
            Column::Bool(values) => write!(BoolType, values, |value| *value),
        }
        out.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn read(path: &Path) -> crate::Result<Vec<Value>> {
    lines(path)?.map(|line| Ok(serde_json::from_str(&line?.1).unwrap())).collect()
}

fn rows(schema: &str, columns: &[Column]) -> Vec<Value> {
    read(written(&file(schema, columns, plain())).path()).unwrap()
}

#[test]
fn values_become_those_of_json() {
    let schema = "optional binary s (UTF8); optional binary b; optional int64 l; optional int32 i; optional float f; \
                  optional double d; optional boolean t;";
    let columns = [
        Column::Text(vec![Some("caf\u{e9}".into()), None]),
        texts(&["bytes", "x"]),
        Column::Long(vec![Some(i64::MAX), None]),
        Column::Int(vec![Some(-7), Some(0)]),
        Column::Float(vec![Some(4.1), Some(f32::NAN)]),
        Column::Double(vec![Some(7.0), Some(f64::INFINITY)]),
        Column::Bool(vec![Some(true), Some(false)]),
    ];
    let expected = [
        json!({"s": "café", "b": "bytes", "l": i64::MAX, "i": -7, "f": 4.1, "d": 7.0, "t": true}),
        json!({"s": null, "b": "x", "l": null, "i": 0, "f": null, "d": null, "t": false}),
    ];
    assert_eq!(rows(schema, &columns), expected);
}

/// 2014-07-23T10:00:00.25Z in every unit, with and without the older name of its type.
#[test]
fn times_are_seconds() {
    let second = 1_406_109_600_i64;
    let schema = "optional int64 ms (TIMESTAMP(MILLIS,true)); optional int64 us (TIMESTAMP(MICROS,false)); \
                  optional int64 ns (TIMESTAMP(NANOS,true)); optional int64 old (TIMESTAMP_MILLIS); \
                  optional int32 day (DATE);";
    let columns = [
        longs(&[second * 1_000 + 250, -750]),
        longs(&[second * 1_000_000 + 250_000, -750_000]),
        longs(&[second * 1_000_000_000 + 250_000_000, -750_000_000]),
        longs(&[second * 1_000 + 250, -1_000]),
        Column::Int(vec![Some(16_274), Some(-1)]),
    ];
    let at = 1_406_109_600.25;
    let expected = [
        json!({"ms": at, "us": at, "ns": at, "old": at, "day": 1_406_073_600}),
        json!({"ms": -0.75, "us": -0.75, "ns": -0.75, "old": -1, "day": -86_400}),
    ];
    assert_eq!(rows(schema, &columns), expected);
}

#[test]
fn every_codec_and_encoding_reads_the_same() {
    let names: Vec<String> = (0..5_000).map(|i| format!("name {}", i * 7919 % 997)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let numbers: Vec<i64> = (0..5_000).map(|i| i * 104_729 % 5_003).collect();
    let write = |properties| {
        let bytes = file("optional binary s (UTF8); optional int64 l;", &[texts(&names), longs(&numbers)], properties);
        read(written(&bytes).path()).unwrap()
    };
    let expected = write(plain());
    assert_eq!(expected.len(), 5_000);
    assert_eq!(expected[4_999], json!({"s": names[4_999], "l": numbers[4_999]}));
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        assert_eq!(write(plain().set_compression(codec)), expected, "{codec}");
    }
    let paths = |column: &str| parquet::schema::types::ColumnPath::from(column);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            let properties = plain()
                .set_writer_version(version)
                .set_dictionary_enabled(false)
                .set_column_encoding(paths("s"), encoding)
                .set_column_encoding(paths("l"), Encoding::DELTA_BINARY_PACKED)
                .set_data_page_row_count_limit(700)
                .set_write_batch_size(100);
            assert_eq!(write(properties), expected, "{version:?} {encoding}");
        }
    }
}

/// A column of one value is a page of few bytes and many values.
#[test]
fn a_constant_column_is_no_bomb() {
    let bytes = file("optional int64 l;", &[longs(&vec![7; 300_000])], plain().set_write_batch_size(300_000));
    assert!(bytes.len() < 2_000);
    assert_eq!(read(written(&bytes).path()).unwrap().len(), 300_000);
}

#[test]
fn what_is_damaged_is_an_error() {
    let good = file("optional int64 l;", &[longs(&[1, 2, 3])], plain());
    let why = |bytes: &[u8]| read(written(bytes).path()).unwrap_err().to_string();
    assert!(why(&good[..good.len() - 1]).contains("it is cut off"));
    assert!(why(&good[..good.len() / 2]).contains("it is cut off"));
    let mut footer = good.clone();
    let length = footer.len() - 8;
    footer[length..length + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(why(&footer).contains("its footer is damaged"));
    assert!(why(&deep(40)).contains("nested more than 32 deep"), "{}", why(&deep(40)));
    assert!(why(&deep(100_000)).contains("nested more than 32 deep"));
    let empty = file("optional int64 l;", &[longs(&[])], plain());
    assert_eq!(read(written(&empty).path()).unwrap(), [Value::Null; 0]);
}

/// A footer whose schema has a group in a group, so often.
fn deep(levels: usize) -> Vec<u8> {
    let varint = |mut value: usize| {
        let mut bytes = Vec::new();
        while value > 127 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    // SchemaElement: name (field 4) "g", num_children (field 5) 1.
    let group = [0x48, 1, b'g', 0x15, 2, 0];
    let list = [vec![0x15, 2, 0x19, 0xFC], varint(levels)].concat();
    let footer = [list, group.repeat(levels), vec![0x16, 0, 0x19, 0x0C, 0]].concat();
    [b"PAR1".to_vec(), footer.clone(), (footer.len() as u32).to_le_bytes().to_vec(), b"PAR1".to_vec()].concat()
}

/// Sizes and counts in the header of a page are not believed.
#[test]
fn a_page_that_lies_is_refused() {
    let header = |fields: &[u8]| thrift::page(&mut &fields[..]).map_err(|error| error.to_string());
    // PageHeader: type 0, 8 bytes unpacked, 8 bytes packed, a data page of 3 values.
    assert_eq!(header(&[0x15, 0, 0x15, 16, 0x15, 16, 0x2C, 0x15, 6, 0, 0]), Ok(()));
    let huge = [0x80, 0x80, 0x80, 0x80, 0x10];
    let with = |before: &[u8], after: &[u8]| header(&[before, &huge, after].concat()).unwrap_err();
    assert!(with(&[0x15, 0, 0x15], &[0x15, 16, 0]).contains("a page of"));
    assert!(with(&[0x15, 0, 0x15, 16, 0x15, 16, 0x2C, 0x15], &[0, 0]).contains("values"));
    // A dictionary of 9 values in 8 bytes.
    let dictionary = [0x15, 4, 0x15, 16, 0x15, 16, 0x4C, 0x15, 18, 0, 0];
    assert!(header(&dictionary).unwrap_err().contains("a dictionary of 9 values in 8 bytes"));
    assert!(header(&[0x1C; 99]).unwrap_err().contains("nested"));
    assert!(header(&[0x15]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Bytes of a good file are changed, most of them in its headers.
    #[test]
    fn a_damaged_file_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        choice in 0..6_u8,
    ) {
        let codec = if choice % 2 == 0 { Compression::UNCOMPRESSED } else { Compression::SNAPPY };
        let properties = plain().set_compression(codec).set_dictionary_enabled(choice < 2);
        let properties = match choice {
            4.. => properties.set_encoding(Encoding::DELTA_BYTE_ARRAY),
            _ => properties,
        };
        let columns = [texts(&["a", "ab", "b"]), texts(&["x", "x", "y"])];
        let mut bytes = file("optional binary s (UTF8); optional binary t;", &columns, properties);
        for (at, byte) in changes {
            let at = at.index(bytes.len() - 8);
            bytes[at] = byte;
        }
        if let Ok(lines) = lines(written(&bytes).path()) {
            prop_assert!(lines.take(100_000).take_while(|line| line.is_ok()).count() < 100_000);
        }
    }
}
