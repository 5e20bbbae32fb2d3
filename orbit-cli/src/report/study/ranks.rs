//! Whether two measures put models in the same order.

/// Pairs of models that two measures order alike, and that they order the other way around. Pairs that tie in either do not
/// count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) alike: usize,
    pub(super) opposed: usize,
}

impl Agreement {
    /// Of models with both measures.
    pub(super) fn of(models: &[(f64, f64)]) -> Self {
        let pairs = models.iter().enumerate().flat_map(|(at, a)| models[..at].iter().map(move |b| (a, b)));
        let orders = pairs.map(|(a, b)| (a.0 - b.0) * (a.1 - b.1));
        orders.fold(Self::default(), |sum, order| match order {
            order if order > 0.0 => Self { alike: sum.alike + 1, ..sum },
            order if order < 0.0 => Self { opposed: sum.opposed + 1, ..sum },
            _ => sum,
        })
    }

    pub(super) fn pairs(self) -> usize {
        self.alike + self.opposed
    }

    /// 1 for the same order, −1 for the reverse: the gamma of Goodman and Kruskal, which without ties is Kendall's tau. None
    /// without a pair.
    pub(super) fn gamma(self) -> Option<f64> {
        (self.pairs() > 0).then(|| (self.alike as f64 - self.opposed as f64) / self.pairs() as f64)
    }
}

impl std::ops::Add for Agreement {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { alike: self.alike + other.alike, opposed: self.opposed + other.opposed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_without_ties() {
        assert_eq!(Agreement::of(&[(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]).gamma(), Some(1.0));
        assert_eq!(Agreement::of(&[(1.0, 0.3), (2.0, 0.2), (3.0, 0.1)]).gamma(), Some(-1.0));
        let mixed = Agreement::of(&[(1.0, 0.1), (2.0, 0.3), (3.0, 0.2)]);
        assert_eq!(mixed, Agreement { alike: 2, opposed: 1 });
        assert_eq!(Agreement::of(&[(1.0, 0.1), (1.0, 0.3), (2.0, 0.1)]), Agreement { alike: 0, opposed: 1 });
        assert_eq!(Agreement::of(&[(1.0, 0.1)]).gamma(), None);
    }
}
