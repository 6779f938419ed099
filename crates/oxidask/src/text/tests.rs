//! Every line is read once, wherever the cuts fall.

use super::*;
use std::io::Write;

/// A folder that is removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oxidask-text-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn glob(&self, pattern: &str) -> String {
        self.0.join(pattern).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all_lines(file: &str, options: &TextOptions) -> Vec<String> {
    let delimiter = String::from_utf8(options.delimiter.clone()).unwrap();
    let blocks = plan(&[file.to_owned()], options).unwrap();
    let texts = blocks[0].iter().map(|block| block.read_utf8(&options.delimiter).unwrap());
    texts.flat_map(|text| lines(&text, &delimiter).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn each_line_is_read_once_for_every_block_size() {
    let folder = Folder::new("sizes");
    for (content, delimiter) in [
        ("a\nbb\n\nccc\ndddd\n", "\n"),
        ("a\nbb\n\nccc\nlast", "\n"),
        ("", "\n"),
        ("\n\n\n", "\n"),
        ("one line", "\n"),
        ("a<>b<<>c<>>d<>", "<>"),
        ("ä\r\nöö\r\nü", "\r\n"),
    ] {
        let file = folder.file("text", content.as_bytes());
        let expected: Vec<String> = lines(content, delimiter).map(str::to_owned).collect();
        for block_bytes in 1..=content.len() as u64 + 2 {
            let options = TextOptions {
                block_bytes: Some(block_bytes),
                delimiter: delimiter.as_bytes().to_vec(),
                ..TextOptions::default()
            };
            assert_eq!(all_lines(&file, &options), expected, "{content:?} in blocks of {block_bytes}");
        }
    }
}

#[test]
fn a_line_longer_than_the_look_ahead_is_whole() {
    let folder = Folder::new("long");
    let content = format!("{}\n{}\nend\n", "x".repeat(100_000), "y".repeat(3 * LOOK_AHEAD));
    let file = folder.file("text", content.as_bytes());
    let options = TextOptions { block_bytes: Some(1000), ..TextOptions::default() };
    assert_eq!(all_lines(&file, &options), lines(&content, "\n").collect::<Vec<_>>());
}

#[test]
fn gzip_is_inferred_and_read_whole() {
    let folder = Folder::new("gzip");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"a\nb\n").unwrap();
    let member = encoder.finish().unwrap();
    let file = folder.file("text.gz", &[member.clone(), member].concat());
    assert_eq!(all_lines(&file, &TextOptions::default()), ["a\n", "b\n", "a\n", "b\n"]);
    let cut = TextOptions { block_bytes: Some(2), ..TextOptions::default() };
    assert!(plan(&[file], &cut).unwrap_err().to_string().contains("cannot be read in blocks"));
    assert!(Compression::inferred("a.bz2").unwrap_err().to_string().contains("only gzip"));
    assert!(Compression::named(Some("xz")).unwrap_err().to_string().contains("'xz'"));
}

#[test]
fn globs_are_in_natural_order_and_must_match() {
    let folder = Folder::new("globs");
    for name in ["10.txt", "9.txt", "a.txt", ".9.txt"] {
        folder.file(name, b"");
    }
    let files = expand(&[folder.glob("*.txt")]).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["9.txt", "10.txt", "a.txt"]);
    assert_eq!(expand(&[folder.glob(".*.txt")]).unwrap().len(), 1);
    for missing in ["*.csv", "none.txt"] {
        let error = expand(&[folder.glob(missing)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(missing), "{error}");
    }
    assert!(expand(&["s3://bucket/a.txt"]).unwrap_err().to_string().contains("s3"));
}

#[test]
fn bytes_that_are_no_utf8_are_named_by_file_and_offset() {
    let folder = Folder::new("utf8");
    let file = folder.file("text", b"good\nalso good\nbad \xff\n");
    let options = TextOptions { block_bytes: Some(6), ..TextOptions::default() };
    let blocks = plan(std::slice::from_ref(&file), &options).unwrap();
    let errors: Vec<String> =
        blocks[0].iter().filter_map(|block| block.read_utf8(b"\n").err()).map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains(&file) && errors[0].contains("0xff at offset 19"), "{}", errors[0]);
}

#[test]
fn universal_newlines_are_those_of_python() {
    assert_eq!(universal_newlines("a\r\nb\rc\n"), "a\nb\nc\n");
    assert!(matches!(universal_newlines("a\n"), Cow::Borrowed(_)));
}
