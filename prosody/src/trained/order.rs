//! Order statistics of small sets of finite numbers.

/// Sorts, so that [`quantile`] may be asked.
pub(crate) fn sort(values: &mut [f32]) {
    values.sort_unstable_by(f32::total_cmp);
}

/// The quantile `share` (0-1) of sorted values, linear between neighbours; 0 when there are none.
pub(crate) fn quantile(sorted: &[f32], share: f32) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share.clamp(0.0, 1.0) * last as f32;
    let below = place as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f32)
}
