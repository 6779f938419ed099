use super::*;

fn call(name: &str, args: Vec<Term>) -> Term {
    Term::call(name, args).unwrap()
}

fn arg() -> Term {
    Term::Arg(0)
}

fn text(text: &str) -> Term {
    Term::Const(Scalar::Str(text.into()))
}

/// What a term makes of a text, kept.
fn of_line(term: Term, line: &str) -> Result<Scalar, Beyond> {
    let program = Program::new(vec![Step::Map(term)]);
    let mut run = program.start();
    run.line(line)?;
    run.cells()[0].clone().keep()
}

#[test]
fn words_are_counted_in_the_order_in_which_they_came() {
    let program = Program::new(vec![Step::Map(call("str.split", vec![arg()])), Step::Flatten]);
    assert!(program.is_words());
    let mut groups = Groups::new();
    let mut run = program.start();
    for line in ["b a\n", "a \u{1c} é\u{a0}b\n", "\n"] {
        run.line(line).unwrap();
        run.cells().iter().for_each(|cell| groups.count(cell).unwrap());
    }
    let pairs: Vec<_> = groups.iter().map(|(key, value)| (key.cell().keep().unwrap(), value.clone())).collect();
    let want = [("b", 2), ("a", 2), ("é", 1)];
    assert_eq!(pairs, want.map(|(word, n)| (Scalar::Str(word.into()), Scalar::Int(n))));
}

#[test]
fn records_are_filtered_and_plucked_from_one_scan() {
    let record = call("json.loads", vec![arg()]);
    let old = call("gt", vec![call("item", vec![arg(), text("age")]), Term::Const(Scalar::Int(30))]);
    let name = call("item", vec![arg(), text("name")]);
    let program = Program::new(vec![Step::Map(record), Step::Filter(old), Step::Map(name)]);
    let run = |line| {
        let mut run = program.start();
        run.line(line)?;
        Ok(run.cells().iter().map(|cell| cell.clone().keep().unwrap()).collect::<Vec<_>>())
    };
    assert_eq!(run(r#"{"age": 31, "name": "Ann"}"#), Ok(vec![Scalar::Str("Ann".into())]));
    assert_eq!(run(r#"{"age": 30.0, "name": "Ann"}"#), Ok(vec![]));
    assert_eq!(run(r#"{"name": "Ann"}"#), Err(Beyond));
    assert_eq!(run(r#"{"age": "31", "name": "Ann"}"#), Err(Beyond));
    assert_eq!(run(r#"{"age": 31, "name": "Ann""#), Err(Beyond));
    assert_eq!(run("[1]"), Err(Beyond));
}

#[test]
fn numbers_as_python_has_them() {
    let cases = [
        ("str", "float", "1e16", "1e+16"),
        ("str", "float", "1e15", "1000000000000000.0"),
        ("str", "float", "0.0001", "0.0001"),
        ("str", "float", "0.00001", "1e-05"),
        ("str", "float", "-1.5e-300", "-1.5e-300"),
        ("str", "int", " -007\n", "-7"),
    ];
    for (outer, inner, line, want) in cases {
        let term = call(outer, vec![call(inner, vec![arg()])]);
        assert_eq!(of_line(term, line), Ok(Scalar::Str(want.into())), "{line}");
    }
    for line in ["1_0", "", "٣", "99999999999999999999"] {
        assert_eq!(of_line(call("int", vec![arg()]), line), Err(Beyond));
    }
    let divided = |a, b| {
        let number = |n| Term::Const(Scalar::Int(n));
        of_line(
            Term::Tuple(vec![call("floordiv", vec![number(a), number(b)]), call("mod", vec![number(a), number(b)])]),
            "",
        )
    };
    let pair = |a, b| Ok(Scalar::Tuple([Scalar::Int(a), Scalar::Int(b)].into()));
    assert_eq!(divided(7, -2), pair(-4, -1));
    assert_eq!(divided(-7, 2), pair(-4, 1));
    assert_eq!(divided(1, 0), Err(Beyond));
    assert_eq!(divided(i64::MIN, -1), Err(Beyond));
}

#[test]
fn keys_that_python_takes_for_one_are_left_to_it() {
    let mut groups = Groups::new();
    groups.count(&Cell::Int(1)).unwrap();
    assert_eq!(groups.count(&Cell::Bool(true)), Err(Beyond));
    let mut groups = Groups::new();
    groups.count(&Cell::Float(0.5)).unwrap();
    assert_eq!(groups.count(&Cell::Float(f64::NAN)), Err(Beyond));
    assert_eq!(groups.count(&Cell::Float(-0.0)), Err(Beyond));
}

#[test]
fn groups_travel_and_merge() {
    let counted = |words: &[&str]| {
        let mut groups = Groups::new();
        words.iter().for_each(|word| groups.count(&Cell::Str((*word).into())).unwrap());
        groups
    };
    let bytes = postcard::to_allocvec(&counted(&["a", "b", "a"])).unwrap();
    let mut arrived: Groups = postcard::from_bytes(&bytes).unwrap();
    assert!(arrived.is_valid());
    arrived.merge(&counted(&["c", "a"]), &call("add", vec![arg(), Term::Arg(1)]), None).unwrap();
    let values: Vec<_> = arrived.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(values, [3, 1, 1].map(Scalar::Int));
    assert_eq!(arrived.sorted().unwrap(), [0, 1, 2]);
    let mut cut: Groups = postcard::from_bytes(&bytes).unwrap();
    cut.bytes_for_tests().pop();
    assert!(!cut.is_valid());
}

#[test]
fn dumps_is_what_python_writes() {
    let term = call("json.dumps", vec![call("json.loads", vec![arg()])]);
    let line = r#"{"a":[1,-0,1.0,1e2,"é\n😀"],"b":{},"c":null , "d":NaN}"#;
    let want = r#"{"a": [1, 0, 1.0, 100.0, "\u00e9\n\ud83d\ude00"], "b": {}, "c": null, "d": NaN}"#;
    assert_eq!(of_line(term.clone(), line), Ok(Scalar::Str(want.into())));
    assert_eq!(of_line(term, r#"{"a":1,"a":2}"#), Err(Beyond));
}

#[test]
fn whole_numbers_are_computed_as_python_does() {
    let number = |value| Term::Const(Scalar::Int(value));
    let of = |term: &Term, value| {
        let program = Program::new(vec![Step::Map(term.clone())]);
        let mut run = program.start();
        run.element(Cell::Int(value))?;
        run.cells()[0].clone().keep()
    };
    let nested = call("mod", vec![call("sub", vec![call("mul", vec![arg(), number(3)]), number(1)]), number(-5)]);
    for (value, want) in [(4, -4), (-4, -3), (7, 0), (0, -1)] {
        assert_eq!(of(&nested, value), Ok(Scalar::Int(want)), "{value}");
    }
    let least = call("le", vec![call("floordiv", vec![arg(), number(-2)]), number(-2)]);
    assert_eq!([3, 2, 4].map(|value| of(&least, value).unwrap()), [true, false, true].map(Scalar::Bool));
    assert_eq!(of(&nested, i64::MAX), Err(Beyond));
    assert_eq!(of(&call("mod", vec![arg(), number(0)]), 1), Err(Beyond));
    assert_eq!(of(&call("floordiv", vec![arg(), number(-1)]), i64::MIN), Err(Beyond));
    assert_eq!(of(&call("truediv", vec![arg(), number(2)]), 5), Ok(Scalar::Float(2.5)));
    assert_eq!(of(&call("eq", vec![arg(), Term::Const(Scalar::Bool(true))]), 1), Ok(Scalar::Bool(true)));
}
