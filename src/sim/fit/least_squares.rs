//! Linear least squares with three columns and coefficients that are not negative.

use crate::base::float;

/// One equation: `x · coefficients ≈ y`, already weighted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Row {
    /// What is known.
    pub(super) x: [f64; 3],
    /// What it should come to.
    pub(super) y: f64,
}

/// A solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Solution {
    /// The coefficients; 0 where a column was left out.
    pub(super) coefficients: [f64; 3],
    /// Their covariances.
    pub(super) covariance: [[f64; 3]; 3],
    residual: f64,
}

/// The best coefficients of which none is negative, for these columns; none where the rows do not decide.
pub(super) fn solve(rows: &[Row], columns: [bool; 3]) -> Option<Solution> {
    let subsets = (1..8_u8).map(|bits| [0, 1, 2].map(|column| bits >> column & 1 == 1));
    let allowed =
        subsets.filter(|subset| subset.iter().zip(columns).all(|(in_it, may)| !in_it || may));
    let solved = allowed.filter_map(|subset| free(rows, subset));
    solved
        .filter(|found| found.coefficients.iter().all(|value| *value >= 0.0))
        .min_by(|one, other| one.residual.total_cmp(&other.residual))
}

/// The best coefficients of any sign.
fn free(rows: &[Row], columns: [bool; 3]) -> Option<Solution> {
    let mut normal = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for row in rows {
        for (one, x) in row.x.iter().enumerate() {
            right[one] += x * row.y;
            for (sum, other) in normal[one].iter_mut().zip(row.x) {
                *sum += x * other;
            }
        }
    }
    let inverse = inverse(normal, columns)?;
    let coefficients = inverse.map(|line| line.iter().zip(right).map(|(a, b)| a * b).sum::<f64>());
    let misses = rows.iter().map(|row| {
        let found: f64 = row.x.iter().zip(coefficients).map(|(x, c)| x * c).sum();
        (row.y - found).powi(2)
    });
    let residual: f64 = misses.sum();
    let used = columns.iter().filter(|used| **used).count();
    let freedom = float(rows.len().saturating_sub(used).max(1));
    Some(Solution {
        coefficients,
        covariance: inverse.map(|line| line.map(|value| value * residual / freedom)),
        residual,
    })
}

/// The inverse of a symmetric matrix within these rows and columns, 0 outside; none where it is (nearly) singular.
fn inverse(matrix: [[f64; 3]; 3], columns: [bool; 3]) -> Option<[[f64; 3]; 3]> {
    // Scaled to a unit diagonal first: steps, tokens and prompts differ by orders of magnitude.
    let scale: [f64; 3] = std::array::from_fn(|at| {
        if columns[at] {
            matrix[at][at].sqrt()
        } else {
            1.0
        }
    });
    if scale
        .iter()
        .any(|scale| *scale <= 0.0 || !scale.is_finite())
    {
        return None;
    }
    let unit = |one: usize, other: usize| f64::from(u8::from(one == other));
    let mut left: [[f64; 3]; 3] = std::array::from_fn(|one| {
        std::array::from_fn(|other| {
            if columns[one] && columns[other] {
                matrix[one][other] / scale[one] / scale[other]
            } else {
                unit(one, other)
            }
        })
    });
    let mut right: [[f64; 3]; 3] =
        std::array::from_fn(|one| std::array::from_fn(|other| unit(one, other)));
    for pivot in 0..3 {
        let value = left[pivot][pivot];
        if value < 1e-9 {
            return None;
        }
        for column in 0..3 {
            left[pivot][column] /= value;
            right[pivot][column] /= value;
        }
        for row in (0..3).filter(|row| *row != pivot) {
            let factor = left[row][pivot];
            for column in 0..3 {
                left[row][column] -= factor * left[pivot][column];
                right[row][column] -= factor * right[pivot][column];
            }
        }
    }
    Some(std::array::from_fn(|one| {
        std::array::from_fn(|other| {
            if columns[one] && columns[other] {
                right[one][other] / scale[one] / scale[other]
            } else {
                0.0
            }
        })
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(of: &[[f64; 3]], truth: [f64; 3]) -> Vec<Row> {
        of.iter()
            .map(|x| Row {
                x: *x,
                y: x.iter().zip(truth).map(|(x, c)| x * c).sum(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(
            xs in prop::collection::vec(prop::array::uniform3(1.0_f64..1000.0), 6..40),
            truth in prop::array::uniform3(0.001_f64..10.0),
        ) {
            let found = solve(&rows(&xs, truth), [true; 3]);
            // Rows that happen to be alike decide nothing.
            prop_assume!(found.is_some());
            for (found, truth) in found.unwrap().coefficients.iter().zip(truth) {
                prop_assert!((found - truth).abs() < 1e-3 * truth.max(0.1), "{found} {truth}");
            }
        }

        #[test]
        fn nothing_is_negative(
            xs in prop::collection::vec(prop::array::uniform3(1.0_f64..1000.0), 4..20),
            truth in prop::array::uniform3(-10.0_f64..10.0),
        ) {
            if let Some(found) = solve(&rows(&xs, truth), [true; 3]) {
                prop_assert!(found.coefficients.iter().all(|value| *value >= 0.0));
            }
        }
    }

    #[test]
    fn columns_that_say_the_same_are_not_told_apart() {
        let same: Vec<[f64; 3]> = (1..9).map(f64::from).map(|x| [x, 2.0 * x, 1.0]).collect();
        let found = solve(&rows(&same, [1.0, 1.0, 0.0]), [true, true, false]).unwrap();
        // One of the two stands for both.
        assert!(found.coefficients.contains(&0.0), "{found:?}");
    }
}
