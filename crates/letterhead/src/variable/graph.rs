//! Which variable needs which: known from the templates alone.

use std::sync::Arc;

/// The circles among variables, each as the way around it: `a`, `b`, `a`. `needs` has, for each variable, those that it
/// reads.
pub(super) fn circles(needs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut search = Search { needs, seen: vec![Seen::No; needs.len()], way: Vec::new(), circles: Vec::new() };
    for start in 0..needs.len() {
        search.visit(start);
    }
    search.circles
}

#[derive(Clone, Copy, PartialEq)]
enum Seen {
    No,
    OnTheWay,
    Done,
}

struct Search<'a> {
    needs: &'a [Vec<usize>],
    seen: Vec<Seen>,
    way: Vec<usize>,
    circles: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn visit(&mut self, at: usize) {
        match self.seen.get(at) {
            Some(Seen::No) => {}
            Some(Seen::OnTheWay) => {
                let from = self.way.iter().position(|earlier| *earlier == at).unwrap_or_default();
                let around = self.way.iter().skip(from).copied().chain([at]);
                return self.circles.push(around.collect());
            }
            Some(Seen::Done) | None => return,
        }
        self.mark(at, Seen::OnTheWay);
        self.way.push(at);
        let needs = self.needs;
        for next in needs.get(at).into_iter().flatten() {
            self.visit(*next);
        }
        self.way.pop();
        self.mark(at, Seen::Done);
    }

    fn mark(&mut self, at: usize, as_seen: Seen) {
        if let Some(seen) = self.seen.get_mut(at) {
            *seen = as_seen;
        }
    }
}

/// What is wanted and all that it needs, each behind what it needs itself. There is no circle.
pub(super) fn order(needs: &[Vec<usize>], wanted: &[usize]) -> Vec<usize> {
    fn add(at: usize, needs: &[Vec<usize>], order: &mut Vec<usize>) {
        if order.contains(&at) {
            return;
        }
        for next in needs.get(at).into_iter().flatten() {
            add(*next, needs, order);
        }
        order.push(at);
    }
    let mut order = Vec::new();
    wanted.iter().for_each(|at| add(*at, needs, &mut order));
    order
}

/// The way around a circle in words.
pub(super) fn around(circle: &[usize], names: &[Arc<str>]) -> String {
    let mut names = circle.iter().filter_map(|at| names.get(*at)).map(|name| format!("`{name}`"));
    let first = names.next().unwrap_or_default();
    let rest: Vec<String> = names.collect();
    format!("{first} needs {}: a variable cannot wait for itself", rest.join(", which needs "))
}

/// Spreads a property from variables to all that need them, however far. There is no circle.
pub(super) fn spread(needs: &[Vec<usize>], own: &[bool]) -> Vec<bool> {
    fn of(at: usize, needs: &[Vec<usize>], own: &[bool], known: &mut [Option<bool>]) -> bool {
        if let Some(Some(known)) = known.get(at) {
            return *known;
        }
        let has = own.get(at).copied().unwrap_or_default()
            || needs.get(at).into_iter().flatten().any(|next| of(*next, needs, own, known));
        if let Some(slot) = known.get_mut(at) {
            *slot = Some(has);
        }
        has
    }
    let mut known = vec![None; needs.len()];
    (0..needs.len()).map(|at| of(at, needs, own, &mut known)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_is_told_with_the_way_around_it() {
        assert!(circles(&[vec![1, 2], vec![2], vec![]]).is_empty());
        assert_eq!(circles(&[vec![0]]), [[0, 0]]);
        assert_eq!(circles(&[vec![], vec![2], vec![3], vec![1, 0]]), [[1, 2, 3, 1]]);
        assert_eq!(circles(&[vec![1], vec![0], vec![2]]), [vec![0, 1, 0], vec![2, 2]]);
        let names = ["a", "b", "c"].map(Arc::from);
        let told = around(&[0, 1, 2, 0], &names);
        assert_eq!(told, "`a` needs `b`, which needs `c`, which needs `a`: a variable cannot wait for itself");
    }

    #[test]
    fn each_comes_behind_what_it_needs() {
        assert_eq!(order(&[vec![1, 2], vec![2], vec![], vec![0]], &[0, 2]), [2, 1, 0]);
    }

    #[test]
    fn what_one_has_all_have_that_need_it() {
        let needs = [vec![1], vec![2], vec![], vec![2]];
        assert_eq!(spread(&needs, &[false, true, false, false]), [true, true, false, false]);
        assert_eq!(spread(&needs, &[false, false, true, false]), [true, true, true, true]);
    }
}
