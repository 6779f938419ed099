//! Pictures of small graphs, looked at from the outside.

use super::*;
use oxidask_core::{FnOp, Input, Key, Value};
use std::sync::Arc;

/// `inc` of each of `n` constants, `add` of neighbours until one is left.
fn tree(n: usize) -> Graph {
    let mut graph = Graph::new();
    let op = |label| Arc::new(FnOp::new(label, |_, _: &[Value]| Err(Error::value("never run"))));
    let inc = graph.stage(op("inc"));
    let add = graph.stage(op("add"));
    let mut key = 0..;
    let mut next = || Key(key.next().unwrap_or_default());
    let mut level: Vec<u32> = (0..n).map(|block| graph.task(next(), inc, block as u32, &[])).collect();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .enumerate()
            .map(|(block, pair)| {
                let inputs: Vec<Input> = pair.iter().map(|&task| Input::whole(task)).collect();
                graph.task(next(), add, block as u32, &inputs)
            })
            .collect();
    }
    graph.outputs = vec![Input::whole(level[0])];
    graph
}

#[test]
fn svg_has_every_node_and_edge() {
    let svg = Drawing::of_graph(&tree(4), &DrawOptions::default()).unwrap().to_svg();
    // 7 tasks with a circle and a box each, plus the background.
    assert_eq!(svg.matches("<rect").count(), 15);
    assert_eq!(svg.matches(">inc</text>").count(), 4);
    assert_eq!(svg.matches(">add</text>").count(), 3);
    // 7 arrows to results and 6 to functions: a line and a head each.
    assert_eq!(svg.matches("<path").count(), 26);
    let collapsed =
        Drawing::of_graph(&tree(4), &DrawOptions { collapse_outputs: true, ..DrawOptions::default() }).unwrap();
    assert_eq!(collapsed.to_svg().matches("<rect").count(), 8);
}

#[test]
fn directions_turn_the_picture() {
    let size = |rankdir| {
        let size = Drawing::of_graph(&tree(32), &DrawOptions { rankdir, ..DrawOptions::default() }).unwrap().0.size;
        (size.width, size.height)
    };
    let upright = size(RankDir::BottomTop);
    assert_eq!(upright, size(RankDir::TopBottom));
    assert_eq!(size(RankDir::LeftRight), size(RankDir::RightLeft));
    assert!(upright.0 > upright.1, "a broad tree, drawn upright, is wide");
    let (top, bottom): (f64, f64) = {
        let drawing = Drawing::of_graph(&tree(2), &DrawOptions::default()).unwrap();
        let y = |name: &str| drawing.0.nodes.iter().find(|node| node.text == name).unwrap().center.y;
        (y("add"), y("inc"))
    };
    assert!(top < bottom, "results are at the top");
    assert!("up".parse::<RankDir>().is_err());
}

#[test]
fn png_is_a_picture_of_the_drawing() {
    let drawing = Drawing::of_graph(&tree(4), &DrawOptions::default()).unwrap();
    let png = drawing.to_png().unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(f64::from(number(16)), (drawing.0.size.width * 2.0).ceil());
    assert_eq!(f64::from(number(20)), (drawing.0.size.height * 2.0).ceil());
    if let Some(folder) = std::env::var_os("OXIDASK_DRAWINGS") {
        std::fs::write(std::path::Path::new(&folder).join("tree.png"), png).unwrap();
        std::fs::write(std::path::Path::new(&folder).join("tree.svg"), drawing.to_svg()).unwrap();
    }
}

#[test]
fn names_cannot_break_the_document() {
    let mut graph = Graph::new();
    let op = Arc::new(FnOp::new("<b>\"&\u{1}", |_, _: &[Value]| Err(Error::value("never run"))));
    let stage = graph.stage(op);
    graph.task(Key(1), stage, 0, &[]);
    let svg = Drawing::of_graph(&graph, &DrawOptions::default()).unwrap().to_svg();
    assert!(svg.contains("&lt;b&gt;&quot;&amp; "), "{svg}");
    assert!(!svg.contains("<b>"));
}

#[test]
fn large_graphs_are_refused_with_a_hint() {
    let error = Drawing::of_graph(&tree(4_000), &DrawOptions::default()).err().unwrap();
    assert!(error.message().contains("16002 nodes"), "{error}");
    assert!(error.hint().is_some());
    let svg = Drawing::of_graph(&tree(1_000), &DrawOptions::default()).unwrap().to_svg();
    assert_eq!(svg.matches("<rect").count(), 2_001 * 2 + 1);
}

#[test]
fn an_empty_graph_is_an_empty_picture() {
    let drawing = Drawing::of_graph(&Graph::new(), &DrawOptions::default()).unwrap();
    assert!(drawing.to_svg().starts_with("<svg"));
    assert!(drawing.to_png().is_ok());
}
