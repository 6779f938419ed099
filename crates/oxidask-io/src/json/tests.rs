use super::*;

fn decoded(text: &str) -> Result<Json<'_>, Beyond> {
    parse(text)?.decode()
}

#[test]
fn scalars() {
    assert_eq!(decoded("null"), Ok(Json::Null));
    assert_eq!(decoded(" -12\n"), Ok(Json::Int(-12)));
    assert_eq!(decoded("-0"), Ok(Json::Int(0)));
    assert_eq!(decoded("1e3"), Ok(Json::Float(1000.0)));
    assert_eq!(decoded("-Infinity"), Ok(Json::Float(f64::NEG_INFINITY)));
    assert_eq!(decoded("1e999"), Ok(Json::Float(f64::INFINITY)));
    assert_eq!(decoded(r#""a\u00e9\ud83d\ude00\/""#), Ok(Json::Str("aé😀/".into())));
    assert!(matches!(decoded("NaN"), Ok(Json::Float(x)) if x.is_nan()));
}

#[test]
fn what_only_python_can_tell() {
    let broken = [
        "",
        " ",
        "nul",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "[1,]",
        "[1 2]",
        "{",
        r#"{"a":1,}"#,
        "{'a':1}",
        "\"a",
        "\"\n\"",
        "\"\t\"",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        "1 2",
        "[1]]",
        "\u{feff}1",
        "\"\\é\"",
        "nan",
    ];
    for text in broken {
        assert_eq!(parse(text).err(), Some(Beyond), "{text:?}");
    }
    for text in [r#""\ud800""#, r#""\ud800\u0041""#, "9223372036854775808", r#""\udc00""#] {
        assert_eq!(decoded(text).err(), Some(Beyond), "{text:?}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(parse(&deep).err(), Some(Beyond));
}

#[test]
fn fields_and_repeated_keys() {
    let text = r#" {"a": {"a": 1}, "b\n": [1, "]"], "a": 2.5 } "#;
    let mut found = Vec::new();
    let keys = ["a".to_owned(), "b\n".to_owned(), "c".to_owned()];
    assert!(Records::new(&keys[..]).read(text, &mut found).unwrap().is_object());
    assert_eq!(found[0].unwrap().decode(), Ok(Json::Float(2.5)));
    assert_eq!(found[1].unwrap().text(), r#"[1, "]"]"#);
    assert_eq!(found[2], None);
    let value = parse(text).unwrap();
    assert_eq!(value.get("a").unwrap().unwrap().text(), "2.5");
    assert_eq!(value.get("nothing").unwrap(), None);
}

#[test]
fn records_are_read_alike_whatever_the_shape_of_the_one_before() {
    let lines = [
        r#"{"a": 1, "b": "x", "c": [1, 2]}"#,
        r#"{"a": 2, "b": "y\u0041", "c": {"a": 9}}"#,
        r#"{"a": 2, "b": "y" , "c": null}"#,
        r#"{"a":2,"b":"y","c":null}"#,
        r#"{"a":2,"b":"y","c":null}x"#,
        r#"{"a":2,"b":"y","c":null"#,
        r#"{"a":2,"b":"y","c":nul}"#,
        r#"{"b": 2, "a": 1}"#,
        r#"{"b": 2, "a": 1, "b": 3}"#,
        r#"{"b": 4, "a": 5, "b": 6}"#,
        "{}",
        "{ }",
        "[1]",
        "12",
        "",
        r#"{"a": 2, "b": "y", "c": null, "d": 1}"#,
        r#"{"a": 2, "b": "y", "c": null}"#,
    ];
    let keys = ["b".to_owned(), "a".to_owned()];
    for first in lines {
        for second in lines {
            let mut records = Records::new(&keys[..]);
            let _ = records.read(first, &mut Vec::new());
            let (mut found, mut fresh) = (vec![None], vec![None]);
            let value = records.read(second, &mut found);
            assert_eq!(value, Records::new(&keys[..]).read(second, &mut fresh), "{first} {second}");
            assert_eq!(found, fresh, "{first} {second}");
            assert_eq!(value.is_ok(), parse(second).is_ok());
            if let Ok(raw) = value
                && raw.is_object()
            {
                let want = [None, raw.get("b").unwrap(), raw.get("a").unwrap()];
                assert_eq!(found, want, "{first} {second}");
            }
        }
    }
}

#[test]
fn a_record_like_the_one_before_tells_where_its_line_ends() {
    let keys = ["b".to_owned()];
    let mut records = Records::new(&keys[..]);
    let mut found = Vec::new();
    let first = r#"{"a": [1, 2], "b": "x"}"#;
    assert_eq!(records.read_first(first, &mut found), None);
    records.read(first, &mut found).unwrap();
    let second = r#"{"a": {"é": 1}, "b": "\u0041"}"#;
    let text = format!("{second}\nrest");
    found.clear();
    let (raw, len) = records.read_first(&text, &mut found).unwrap();
    assert_eq!((raw.text(), len), (second, second.len() + 1));
    assert_eq!(found[0].unwrap().decode(), Ok(Json::Str("A".into())));
    assert_eq!(records.read_first(second, &mut found).unwrap().1, second.len());
    // None of these is one line by itself.
    for text in [
        "{\"a\": [1,\n2], \"b\": 1}\n",
        "{\"a\": 1, \"b\": {\n}}\n",
        "\n{\"a\": 1, \"b\": 1}\n",
        "{\"a\": 1, \"b\": 1} \n",
        "{\"a\": 1, \"b\": 1}x\n",
        "{\"a\": 1, \"b\": \"\n\"}",
        "{\"a\": 1, \"b\": 1",
        "",
    ] {
        found.clear();
        assert_eq!((records.read_first(text, &mut found), found.len()), (None, 0), "{text}");
    }
    // Nor is a shape that has a line end of its own.
    let spread = "{\"a\": 1,\n\"b\": 1}";
    records.read(spread, &mut found).unwrap();
    found.clear();
    assert_eq!(records.read_first(spread, &mut found), None);
}

#[test]
fn what_python_takes_for_true() {
    for text in ["\"x\"", "\"\\n\"", "[0]", "{\"a\": 0}", "true", "NaN", "-Infinity", "1", "-0.5", "1e999"] {
        assert_eq!(parse(text).unwrap().is_true(), Ok(true), "{text}");
    }
    for text in ["\"\"", "[ ]", "{}", "false", "null", "0", "-0", "0.0", "-0e3"] {
        assert_eq!(parse(text).unwrap().is_true(), Ok(false), "{text}");
    }
}

#[test]
fn plain_stretches_end_wherever_something_special_is() {
    for len in 0..40 {
        for place in 0..len {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for fill in [b'a', 0x80, 0xff, b'!', b'#', b' ', b'[', b']'] {
                    let mut bytes = vec![fill; len];
                    bytes[place] = special;
                    assert_eq!(string::plain_bytes(&bytes), place);
                    bytes[place] = fill;
                    assert_eq!(string::plain_bytes(&bytes), len);
                }
            }
        }
    }
}
