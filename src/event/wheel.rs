//! The timers: two wheels of intrusive lists.
//!
//! Time is counted in ticks of 8 ms. The fine wheel has a list for each of the next 128
//! ticks, the coarse wheel one for each of the next 127 rounds of the fine wheel (about a
//! second each, two minutes in all). When a round begins, its list moves to the fine wheel;
//! what lies beyond both waits in the farthest list and is placed again from there.
//!
//! A node belongs to whoever has the same index in the loop's table of sources. Setting a
//! later deadline only writes a field: the node is placed again when the old one expires.

/// The length of a tick in milliseconds.
pub(super) const TICK_MS: u64 = 8;

/// Lists in each wheel.
const SLOTS: u32 = 128;
/// Ticks in one slot of the coarse wheel, as a shift.
const ROUND: u32 = SLOTS.trailing_zeros();
/// No node.
const NONE: u32 = u32::MAX;
/// A `previous` at or above this names the list the node is the first of.
const HEAD: u32 = u32::MAX - 2 * SLOTS;

#[derive(Clone, Copy)]
struct Node {
    next: u32,
    /// The node before this one, `HEAD` plus the list, or `NONE` for a node in no list.
    previous: u32,
    deadline: u32,
}

const UNLINKED: Node = Node {
    next: NONE,
    previous: NONE,
    deadline: 0,
};

/// The two wheels and the nodes linked into them. Ticks wrap around; deadlines lie within
/// half the range (198 days) of now.
pub(super) struct Wheel {
    nodes: Vec<Node>,
    heads: [u32; 2 * SLOTS as usize],
    /// Which lists of the fine and the coarse wheel are not empty.
    occupied: [u128; 2],
    now: u32,
}

/// How far `tick` lies ahead of `now`; negative when it is past.
fn ahead(tick: u32, now: u32) -> i32 {
    tick.wrapping_sub(now).cast_signed()
}

impl Wheel {
    pub(super) fn new(now: u32) -> Wheel {
        Wheel {
            nodes: Vec::new(),
            heads: [NONE; 2 * SLOTS as usize],
            occupied: [0; 2],
            now,
        }
    }

    /// Makes room for the nodes below `len`.
    pub(super) fn resize(&mut self, len: usize) {
        if self.nodes.len() < len {
            self.nodes.resize(len, UNLINKED);
        }
    }

    /// Has the node expire at `deadline`, or at the next tick if that is past.
    pub(super) fn set(&mut self, index: u32, deadline: u32) {
        let node = &mut self.nodes[index as usize];
        let earlier = ahead(deadline, node.deadline) < 0;
        node.deadline = deadline;
        if node.previous == NONE {
            self.link(index);
        } else if earlier {
            self.unlink(index);
            self.link(index);
        }
    }

    /// The deadline last set, if the node is linked.
    pub(super) fn deadline(&self, index: u32) -> Option<u32> {
        let node = self.nodes[index as usize];
        (node.previous != NONE).then_some(node.deadline)
    }

    /// Forgets the node's deadline.
    pub(super) fn cancel(&mut self, index: u32) {
        if self.nodes[index as usize].previous != NONE {
            self.unlink(index);
        }
    }

    /// The list a deadline belongs to. The fine wheel reaches to `now + 128`, since the list
    /// of the current tick has already been served.
    fn slot(&self, deadline: u32) -> u32 {
        let delta = ahead(deadline, self.now).max(1).cast_unsigned();
        if delta <= SLOTS {
            return self.now.wrapping_add(delta) % SLOTS;
        }
        let rounds = (self.now % SLOTS + delta) >> ROUND;
        SLOTS + ((self.now >> ROUND).wrapping_add(rounds.min(SLOTS - 1))) % SLOTS
    }

    fn link(&mut self, index: u32) {
        let slot = self.slot(self.nodes[index as usize].deadline);
        let next = std::mem::replace(&mut self.heads[slot as usize], index);
        if next != NONE {
            self.nodes[next as usize].previous = index;
        }
        let node = &mut self.nodes[index as usize];
        (node.next, node.previous) = (next, HEAD + slot);
        self.occupied[(slot / SLOTS) as usize] |= 1 << (slot % SLOTS);
    }

    fn unlink(&mut self, index: u32) {
        let Node { next, previous, .. } = self.nodes[index as usize];
        self.nodes[index as usize].previous = NONE;
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous < HEAD {
            self.nodes[previous as usize].next = next;
            return;
        }
        let slot = previous - HEAD;
        self.heads[slot as usize] = next;
        if next == NONE {
            self.occupied[(slot / SLOTS) as usize] &= !(1 << (slot % SLOTS));
        }
    }

    /// How many ticks after `now` the wheel next has something to do.
    pub(super) fn next(&self) -> Option<u32> {
        let distance = |occupied: u128, position: u32| {
            let from_next = occupied.rotate_right(position % SLOTS).rotate_right(1);
            (from_next != 0).then(|| from_next.trailing_zeros() + 1)
        };
        let fine = distance(self.occupied[0], self.now);
        let coarse = distance(self.occupied[1], self.now >> ROUND)
            .map(|rounds| (rounds << ROUND) - self.now % SLOTS);
        match (fine, coarse) {
            (Some(fine), Some(coarse)) => Some(fine.min(coarse)),
            (fine, coarse) => fine.or(coarse),
        }
    }

    /// Whether `tick` is the one it has moved on to.
    pub(super) fn is_at(&self, tick: u32) -> bool {
        tick == self.now
    }

    /// Moves on to tick `to` and appends the expired nodes, now unlinked, to `expired`.
    pub(super) fn advance(&mut self, to: u32, expired: &mut Vec<u32>) {
        while let Some(ticks) = self.next()
            && ahead(self.now.wrapping_add(ticks), to) <= 0
        {
            // Placing is relative to the tick before, whose list has been served.
            let tick = self.now.wrapping_add(ticks);
            self.now = tick.wrapping_sub(1);
            if tick.is_multiple_of(SLOTS) {
                self.serve(
                    SLOTS + (tick >> ROUND) % SLOTS,
                    tick.wrapping_sub(1),
                    expired,
                );
            }
            self.serve(tick % SLOTS, tick, expired);
            self.now = tick;
        }
        if ahead(to, self.now) > 0 {
            self.now = to;
        }
    }

    /// Empties a list: what is due at `tick` expires, the rest is placed again.
    fn serve(&mut self, slot: u32, tick: u32, expired: &mut Vec<u32>) {
        let mut index = std::mem::replace(&mut self.heads[slot as usize], NONE);
        self.occupied[(slot / SLOTS) as usize] &= !(1 << (slot % SLOTS));
        while index != NONE {
            let node = &mut self.nodes[index as usize];
            let next = node.next;
            node.previous = NONE;
            if ahead(node.deadline, tick) <= 0 {
                expired.push(index);
            } else {
                self.link(index);
            }
            index = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wheel(now: u32, nodes: usize) -> Wheel {
        let mut wheel = Wheel::new(now);
        wheel.resize(nodes);
        wheel
    }

    /// Steps from wake-up to wake-up, as the loop does, and records who expires when.
    fn run(wheel: &mut Wheel) -> Vec<(u32, u32)> {
        let (mut seen, mut expired) = (Vec::new(), Vec::new());
        while let Some(ticks) = wheel.next() {
            let to = wheel.now.wrapping_add(ticks);
            wheel.advance(to, &mut expired);
            seen.extend(expired.drain(..).map(|index| (index, to)));
        }
        seen
    }

    #[test]
    fn deadlines_at_the_edges_expire_exactly() {
        for start in [0, 1, 127, 128, 5000, u32::MAX - 3] {
            for delta in [
                1, 2, 127, 128, 129, 255, 256, 16_255, 16_256, 16_384, 1_000_000,
            ] {
                let mut wheel = wheel(start, 1);
                let deadline = start.wrapping_add(delta);
                wheel.set(0, deadline);
                assert_eq!(
                    run(&mut wheel),
                    [(0, deadline)],
                    "from {start} after {delta}"
                );
            }
        }
    }

    #[test]
    fn a_past_deadline_expires_at_the_next_tick() {
        let mut wheel = wheel(1000, 2);
        wheel.set(0, 1000);
        wheel.set(1, 3);
        assert_eq!(wheel.next(), Some(1));
        assert_eq!(run(&mut wheel).len(), 2);
    }

    #[test]
    fn deadlines_move_both_ways_and_are_cancelled() {
        let mut wheel = wheel(0, 4);
        (0..4).for_each(|index| wheel.set(index, 50));
        wheel.set(0, 500);
        wheel.set(1, 20);
        wheel.cancel(2);
        wheel.cancel(2);
        assert_eq!((wheel.deadline(0), wheel.deadline(2)), (Some(500), None));
        assert_eq!(run(&mut wheel), [(1, 20), (3, 50), (0, 500)]);
    }

    #[test]
    fn an_idle_wheel_leaps() {
        let mut wheel = wheel(0, 1);
        wheel.advance(3_000_000, &mut Vec::new());
        assert_eq!((wheel.now, wheel.next()), (3_000_000, None));
    }

    proptest! {
        #[test]
        fn every_node_expires_once_and_on_time(
            start: u32,
            deltas in prop::collection::vec((1u32..40_000, 1u32..40_000), 1..40),
            stride in 1u32..300,
        ) {
            let mut wheel = wheel(start, deltas.len());
            for (index, (first, second)) in (0u32..).zip(&deltas) {
                wheel.set(index, start.wrapping_add(*first));
                wheel.set(index, start.wrapping_add(*second));
            }
            let (mut now, mut expired, mut seen) = (start, Vec::new(), 0);
            while wheel.next().is_some() {
                now = now.wrapping_add(stride);
                wheel.advance(now, &mut expired);
                for index in expired.drain(..) {
                    let late = ahead(now, start.wrapping_add(deltas[index as usize].1));
                    prop_assert!((0..stride.cast_signed()).contains(&late));
                    seen += 1;
                }
            }
            prop_assert_eq!(seen, deltas.len());
        }
    }
}
