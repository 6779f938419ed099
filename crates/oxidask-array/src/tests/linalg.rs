//! Factors of matrices: what they are made of comes out again.

use super::*;

fn matrix(m: usize, n: usize, chunks: &[usize]) -> Array {
    counted(&[m, n], chunks).mul(0.7).unwrap().sin().unwrap()
}

fn near(a: &Array, b: &Array) -> bool {
    let (a, b) = (floats(a), floats(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9)
}

fn identity(n: usize) -> Array {
    creation::eye(n, n, 0, DType::F64, &[ChunkSpec::Whole]).unwrap()
}

#[test]
fn tall_and_wide_matrices() {
    for (m, n, chunks) in [(40, 3, [7, 2]), (40, 3, [40, 3]), (5, 5, [2, 2]), (3, 9, [2, 4]), (10, 4, [3, 4])] {
        let a = matrix(m, n, &chunks);
        let (q, r) = a.qr().unwrap();
        assert!(near(&q.matmul(&r).unwrap(), &a), "{m} {n}");
        assert!(near(&q.t().matmul(&q).unwrap(), &identity(m.min(n))), "{m} {n}");
        let (u, s, vt) = a.svd().unwrap();
        assert!(near(&u.mul(&s).unwrap().matmul(&vt).unwrap(), &a), "{m} {n}");
        let values = floats(&s);
        assert!(values.is_sorted_by(|a, b| a >= b) && values.iter().all(|&value| value >= 0.0));
    }
}

#[test]
fn square_matrices() {
    let a = matrix(6, 6, &[4, 3]).add(identity(6).mul(3.0).unwrap()).unwrap();
    let b = counted(&[6], &[4]);
    assert!(near(&a.matmul(&a.solve(&b).unwrap()).unwrap(), &b));
    assert!(near(&a.matmul(&a.inv().unwrap()).unwrap(), &identity(6)));
    let (p, l, u) = a.lu().unwrap();
    assert!(near(&p.matmul(&l).unwrap().matmul(&u).unwrap(), &a));
    let spd = a.matmul(&a.t()).unwrap();
    let root = spd.cholesky(true).unwrap();
    assert!(near(&root.matmul(&root.t()).unwrap(), &spd));
    assert!(near(&root.matmul(&root.solve_triangular(&b, true).unwrap()).unwrap(), &b));
    let (values, vectors) = spd.eigh().unwrap();
    assert!(near(&vectors.mul(&values).unwrap(), &spd.matmul(&vectors).unwrap()));
    let diagonal: f64 = floats(&values).iter().product();
    let det = floats(&a.det().unwrap())[0];
    assert!((det * det - diagonal).abs() < 1e-6 * diagonal);
    let swapped = Array::from_block(Block::from_vec(vec![0.0, 1.0, 1.0, 0.0], &[2, 2]), &[ChunkSpec::Whole]).unwrap();
    assert_eq!(floats(&swapped.det().unwrap()), [-1.0]);
    let tall = counted(&[20, 3], &[6, 3]).square().unwrap().mul(0.37).unwrap().sin().unwrap();
    let x = counted(&[3], &[3]);
    assert!(near(&tall.lstsq(&tall.matmul(&x).unwrap()).unwrap(), &x));
    assert!(near(&tall.whole().lstsq(&tall.matmul(&x).unwrap()).unwrap(), &x));
}

#[test]
fn what_cannot_be_factored_says_so() {
    let a = matrix(4, 3, &[2, 2]);
    assert!(a.inv().is_err() && a.det().is_err() && counted(&[3], &[3]).qr().is_err());
    assert!(a.solve(&counted(&[4], &[4])).is_err() && a.lstsq(&counted(&[3], &[3])).is_err());
    let zero = creation::zeros(&[2, 2], DType::F64, &[ChunkSpec::Whole]).unwrap();
    let (graph, _) = oxidask_core::lower(&[zero.inv().unwrap().expr().clone()]).unwrap();
    assert!(run(&graph).unwrap_err().message().contains("singular"));
    let (graph, _) = oxidask_core::lower(&[zero.cholesky(true).unwrap().expr().clone()]).unwrap();
    assert!(run(&graph).unwrap_err().message().contains("positive definite"));
}
