//! Blocks of any size give the same records; wrong records are named.

use super::*;
use polars::prelude::*;
use std::io::Write;

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

fn open(content: &str, options: CsvOptions) -> (tempfile::NamedTempFile, Result<CsvScan>) {
    let file = file(content);
    let scan = CsvScan::open(&[file.path().to_str().unwrap().to_owned()], options);
    (file, scan)
}

fn read_all(scan: &CsvScan) -> Result<DataFrame> {
    let mut all: Option<DataFrame> = None;
    for block in 0..scan.n_blocks() {
        let rows = scan.read(block, None, None)?;
        match &mut all {
            Some(all) => {
                all.vstack_mut(&rows).unwrap();
            }
            None => all = Some(rows),
        }
    }
    Ok(all.unwrap())
}

const QUOTED: &str =
    "id,text,value\n1,\"a,b\",0.5\n2,\"line\none\",NA\n3,\"say \"\"hi\"\"\n\",2\n4,,-1e3\n5,\",\",7\n6,\"\n\",8\n";

#[test]
fn blocks_of_every_size_give_the_same_records() {
    let (_file, whole) = open(QUOTED, CsvOptions { blocksize: None, ..CsvOptions::default() });
    let whole = read_all(&whole.unwrap()).unwrap();
    assert_eq!(whole.height(), 6);
    assert_eq!(whole.column("value").unwrap().null_count(), 1);
    assert_eq!(whole.column("text").unwrap().str().unwrap().get(2), Some("say \"hi\"\n"));
    for blocksize in 1..=QUOTED.len() as u64 {
        let options = CsvOptions { blocksize: Some(blocksize), ..CsvOptions::default() };
        let (_file, scan) = open(QUOTED, options);
        let rows = read_all(&scan.unwrap()).unwrap();
        assert!(rows.equals_missing(&whole), "blocksize {blocksize}: {rows:?}");
    }
}

#[test]
fn types_are_inferred_as_pandas_does() {
    let text = "i,f,b,s,n,m\n1,1.5,True,x,,3\n2,2,False,y,NA,\n";
    let (_file, scan) = open(text, CsvOptions::default());
    let types: Vec<DType> = scan.unwrap().schema().into_iter().map(|(_, dtype)| dtype).collect();
    assert_eq!(types, [DType::I64, DType::F64, DType::Bool, DType::Str, DType::F64, DType::F64]);
}

#[test]
fn wrong_records_are_named() {
    let options = || CsvOptions { sample: 8, ..CsvOptions::default() };
    let (file, scan) = open("a,b\n1,2\n3,4,5\n", options());
    let error = read_all(&scan.unwrap()).unwrap_err();
    let path = file.path().to_str().unwrap();
    assert_eq!(error.message(), format!("{path}, line 3: expected 2 fields, saw 3"));

    let (file, scan) = open("a,b\n1,2\n3,x\n", options());
    let error = read_all(&scan.unwrap()).unwrap_err();
    let path = file.path().to_str().unwrap();
    assert_eq!(
        error.message(),
        format!("{path}, line 3, column 'b': 'x' does not fit the type int64 inferred from the first records")
    );
    assert_eq!(error.hint(), Some("pass dtype={'b': 'str'}"));

    let (_file, scan) = open("a,b\n1,2\n3,NA\n", options());
    let error = read_all(&scan.unwrap()).unwrap_err();
    assert!(error.message().contains("line 3, column 'b': a missing value does not fit"), "{error}");
    assert_eq!(error.hint(), Some("pass dtype={'b': 'float64'}"));
}

#[test]
fn short_records_are_filled_with_missing_values() {
    let (_file, scan) = open("a,b\nx,1.5\ny\n", CsvOptions::default());
    let rows = read_all(&scan.unwrap()).unwrap();
    assert_eq!(rows.column("b").unwrap().null_count(), 1);
}

#[test]
fn only_the_wanted_columns_and_rows_are_read() {
    let (_file, scan) = open(QUOTED, CsvOptions::default());
    let rows = scan.unwrap().read(0, Some(&["value".to_owned()]), Some(2)).unwrap();
    assert_eq!((rows.height(), rows.width()), (2, 1));
    let (_file, scan) = open(QUOTED, CsvOptions::default());
    assert_eq!(scan.unwrap().read(0, Some(&[]), None).unwrap().height(), 6);
}

#[test]
fn nothing_found_is_an_error_that_names_the_pattern() {
    let error = CsvScan::open(&["/nowhere/*.csv".to_owned()], CsvOptions::default()).unwrap_err();
    assert_eq!(error.kind(), oxidask_core::ErrorKind::NotFound);
    assert!(error.message().contains("/nowhere/*.csv"));
    let error = CsvScan::open(&["/nowhere/x.csv".to_owned()], CsvOptions::default()).unwrap_err();
    assert_eq!(error.kind(), oxidask_core::ErrorKind::NotFound);
}

#[test]
fn times_dtypes_and_names_as_asked() {
    let options = CsvOptions {
        header: false,
        names: Some(vec!["when".to_owned(), "n".to_owned()]),
        parse_dates: vec!["when".to_owned()],
        dtypes: vec![("n".to_owned(), DType::F32)],
        ..CsvOptions::default()
    };
    let (_file, scan) = open("2013-01-01,1\n2013-01-02 10:00:00,2\n", options);
    let rows = read_all(&scan.unwrap()).unwrap();
    assert_eq!(rows.dtypes(), [DataType::Datetime(TimeUnit::Microseconds, None), DataType::Float32]);
}

#[test]
fn a_long_file_is_cut_into_more_blocks_and_a_short_one_is_not() {
    let lines: Vec<String> = (0..400_000).map(|i| format!("{i},{}", i * 7)).collect();
    let (_file, scan) = open(&format!("a,b\n{}\n", lines.join("\n")), CsvOptions::default());
    let scan = scan.unwrap();
    assert_eq!(scan.n_blocks(), 1);
    let more = scan.in_blocks(100);
    assert!((3..100).contains(&more.n_blocks()), "{}", more.n_blocks());
    assert_eq!(more.in_blocks(2).n_blocks(), more.n_blocks());
    assert!(read_all(&more).unwrap().equals_missing(&read_all(&scan).unwrap()));
    let (_file, short) = open(QUOTED, CsvOptions::default());
    assert_eq!(short.unwrap().in_blocks(100).n_blocks(), 1);
}

#[test]
fn a_quote_that_is_never_closed_is_named_where_its_record_begins() {
    let text = "id,text\n1,\"a\nb\"\n2,\"c\n3,d\n4,e\n";
    for blocksize in [None, Some(12), Some(20)] {
        let (file, scan) = open(text, CsvOptions { blocksize, ..CsvOptions::default() });
        let message = scan.and_then(|scan| read_all(&scan)).unwrap_err().to_string();
        let place = format!("{}, line 4: the file ends within a quoted field", file.path().display());
        assert!(message.contains(&place), "{blocksize:?}: {message}");
    }
    let (_file, scan) = open(text, CsvOptions { quote: None, ..CsvOptions::default() });
    assert_eq!(read_all(&scan.unwrap()).unwrap().height(), 5);
}
