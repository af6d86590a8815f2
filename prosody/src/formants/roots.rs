//! All roots of a polynomial at once (Aberth 1973), starting from those of the polynomial before.

/// Iterations at most; from a neighbour's roots on it takes four or five.
const ITERATIONS_MAX: usize = 24;
/// A step shorter than this ends the search: what is left of the error is of its third power.
const STEP_MIN: f32 = 1e-3;
/// A longer one is shortened: all roots that matter lie in the unit circle.
const STEP_MAX: f32 = 0.5;
/// What keeps two roots that meet from dividing by nothing.
const APART: f32 = 1e-12;

/// Roots are moved side by side in so many lanes; those beyond the degree are idle.
const LANES: usize = 16;

/// The roots of the last polynomial of degree `N`, at most 16.
#[derive(Debug, Clone)]
pub(super) struct Roots<const N: usize> {
    re: [f32; LANES],
    im: [f32; LANES],
}

impl<const N: usize> Default for Roots<N> {
    /// Spread over the unit circle, none of them real and no two each other's mirror images.
    fn default() -> Self {
        const { assert!(N <= LANES) };
        let angle = |i: usize| std::f32::consts::TAU * (i as f32 + 0.3) / N as f32;
        Self { re: std::array::from_fn(|i| 0.9 * angle(i).cos()), im: std::array::from_fn(|i| 0.9 * angle(i).sin()) }
    }
}

impl<const N: usize> Roots<N> {
    /// The roots (real, imaginary) of `xⁿ + c[0] xⁿ⁻¹ + … + c[n - 1]`.
    #[inline(always)]
    pub(super) fn of(&mut self, coefficients: &[f32; N]) -> impl Iterator<Item = (f32, f32)> {
        if !self.search(coefficients) {
            // The neighbour was no help: once more from the start, and then what has come out so far.
            *self = Self::default();
            self.search(coefficients);
        }
        (0..N).map(|i| (self.re[i], self.im[i])).filter(|(re, im)| re.is_finite() && im.is_finite())
    }

    /// True when all steps have become short.
    #[inline(always)]
    fn search(&mut self, coefficients: &[f32; N]) -> bool {
        for _ in 0..ITERATIONS_MAX {
            let (ratio_re, ratio_im) = self.newton(coefficients);
            let (push_re, push_im) = self.repulsion();
            let mut lengths = [0.0f32; LANES];
            for i in 0..LANES {
                // w / (1 − w r), with w Newton's step and r the repulsion of the other roots.
                let (w_re, w_im) = (ratio_re[i], ratio_im[i]);
                let d_re = 1.0 - (w_re * push_re[i] - w_im * push_im[i]);
                let d_im = -(w_re * push_im[i] + w_im * push_re[i]);
                let scale = 1.0 / (d_re * d_re + d_im * d_im + APART);
                let (s_re, s_im) = ((w_re * d_re + w_im * d_im) * scale, (w_im * d_re - w_re * d_im) * scale);
                lengths[i] = s_re.abs() + s_im.abs();
                let shortened = STEP_MAX / lengths[i].max(STEP_MAX);
                self.re[i] -= shortened * s_re;
                self.im[i] -= shortened * s_im;
            }
            // Not `max`, which would hide what is no number.
            let longer = |longest: f32, &length: &f32| if length <= longest { longest } else { length };
            let longest = lengths[..N].iter().fold(0.0, longer);
            if longest < STEP_MIN {
                return true;
            }
            if longest.is_nan() {
                return false;
            }
        }
        false
    }

    /// The polynomial over its derivative at every root.
    #[inline(always)]
    fn newton(&self, coefficients: &[f32; N]) -> ([f32; LANES], [f32; LANES]) {
        let (mut p_re, mut p_im) = ([1.0f32; LANES], [0.0f32; LANES]);
        let (mut d_re, mut d_im) = ([0.0f32; LANES], [0.0f32; LANES]);
        for coefficient in coefficients {
            for i in 0..LANES {
                let (x, y) = (self.re[i], self.im[i]);
                (d_re[i], d_im[i]) = (d_re[i] * x - d_im[i] * y + p_re[i], d_re[i] * y + d_im[i] * x + p_im[i]);
                (p_re[i], p_im[i]) = (p_re[i] * x - p_im[i] * y + coefficient, p_re[i] * y + p_im[i] * x);
            }
        }
        for i in 0..LANES {
            let scale = 1.0 / (d_re[i] * d_re[i] + d_im[i] * d_im[i] + APART);
            (p_re[i], p_im[i]) =
                ((p_re[i] * d_re[i] + p_im[i] * d_im[i]) * scale, (p_im[i] * d_re[i] - p_re[i] * d_im[i]) * scale);
        }
        (p_re, p_im)
    }

    /// Per root the sum of the inverse distances to all others.
    #[inline(always)]
    fn repulsion(&self) -> ([f32; LANES], [f32; LANES]) {
        let (mut re, mut im) = ([0.0f32; LANES], [0.0f32; LANES]);
        for j in 0..N {
            for i in 0..LANES {
                let (x, y) = (self.re[i] - self.re[j], self.im[i] - self.im[j]);
                // A root's distance to itself is 0 and adds 0.
                let scale = 1.0 / (x * x + y * y + APART);
                re[i] += x * scale;
                im[i] -= y * scale;
            }
        }
        (re, im)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_root_is_one(pairs in prop::collection::vec((0.3f32..0.98, 0.1f32..3.0), 3), real in -0.9f32..0.9) {
            // Pairs too near to each other have no sharp answer in 32 bits.
            let apart = |i: usize, j: usize| (pairs[i].1 - pairs[j].1).abs() > 0.1;
            prop_assume!(apart(0, 1) && apart(0, 2) && apart(1, 2));
            let mut coefficients = [0.0f32; 7];
            let mut product = vec![1.0f32, -real];
            for &(radius, angle) in &pairs {
                let factor = [1.0, -2.0 * radius * angle.cos(), radius * radius];
                let mut next = vec![0.0; product.len() + 2];
                for (i, a) in product.iter().enumerate() {
                    factor.iter().enumerate().for_each(|(j, b)| next[i + j] += a * b);
                }
                product = next;
            }
            coefficients.copy_from_slice(&product[1..]);
            let mut roots = Roots::<7>::default();
            let found: Vec<(f32, f32)> = roots.of(&coefficients).collect();
            for &(radius, angle) in &pairs {
                let near = |&(re, im): &(f32, f32)| (re - radius * angle.cos()).hypot(im - radius * angle.sin()) < 0.01;
                prop_assert!(found.iter().any(near), "{radius} at {angle} is not in {found:?}");
            }
        }
    }
}
