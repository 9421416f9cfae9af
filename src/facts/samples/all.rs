//! All that was sampled of a run.

use std::collections::BTreeMap;

use super::bounds::tidy;
use super::doubts::Doubts;
use super::line::{EvalLine, Line, NodeLine};
use super::point::Point;
use super::server::ServerSeries;
use crate::base::{EvalName, Millis, NodeName, Timestamp, UnitId};

/// So many points are kept at most, of all series together: those of 17 servers for a day, each 15 s. Of more, points of the
/// same 30 s become one, then of the same minute, and so on. Nothing that was counted is lost by that.
pub const MOST_POINTS: usize = 100_000;

/// No piece is wider.
const WIDEST: Millis = Millis::from_secs(6 * 3600);

/// All that was sampled of a run, in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Servers by their unit.
    pub servers: BTreeMap<UnitId, ServerSeries>,
    /// Machines by the names of their nodes: several nodes may be one machine.
    pub nodes: BTreeMap<NodeName, Vec<NodeLine>>,
    /// Evaluations.
    pub evals: BTreeMap<EvalName, Vec<EvalLine>>,
    /// The pause between two samples, as it was meant.
    pub every: Millis,
    /// The width of the pieces of time of which points were made one; zero where nothing was thinned out.
    pub width: Millis,
    /// Files that could be read in part only, and why: what was torn off is not here, and nothing else rests on it. Of a run
    /// that goes on it may be what is being written.
    pub torn: Vec<String>,
    /// What else could not be taken as it stands.
    pub doubts: Doubts,
    /// The last moment of all lines that were taken, and what it was when the clock was last set back.
    last: Timestamp,
    stepped: Timestamp,
    points: usize,
    most: Option<usize>,
}

impl Samples {
    /// None yet, of which at most so many points will be kept.
    pub fn at_most(points: usize) -> Self {
        Self {
            most: Some(points),
            ..Self::default()
        }
    }

    /// The first and the last moment of which something is known.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let servers = self.servers.values().flat_map(|series| {
            let mut points = series.points().map(Point::at);
            [points.next(), points.next_back()]
        });
        let nodes = self
            .nodes
            .values()
            .flat_map(|node| [node.first(), node.last()]);
        let evals = self
            .evals
            .values()
            .flat_map(|eval| [eval.first(), eval.last()]);
        let moments = servers
            .chain(nodes.map(|line| line.map(|line| line.at)))
            .chain(evals.map(|line| line.map(|line| line.at)));
        moments.fold(None, |span, moment| match (span, moment) {
            (None, Some(at)) => Some((at, at)),
            (Some((first, last)), Some(at)) => Some((at.min(first), at.max(last))),
            (span, None) => span,
        })
    }

    /// What of them could not be taken as it stands, a sentence each.
    pub fn doubted(&self) -> Vec<String> {
        let torn = self.torn.iter();
        let torn = torn.map(|why| format!("not read to the end: {why}"));
        torn.chain(self.doubts.said()).collect()
    }

    /// The same, with moments and lengths of time as another clock has them; what was counted stays.
    #[must_use]
    pub fn by_clock(&self, moment: impl Fn(Timestamp) -> Timestamp) -> Self {
        let mut all = self.clone();
        let length = |length: Millis| {
            let from = self.span().map_or(Timestamp(0), |(_, last)| last);
            moment(from + length).since(moment(from))
        };
        all.every = length(self.every);
        all.width = length(self.width);
        for series in all.servers.values_mut() {
            series.move_to(&moment);
        }
        for line in all.nodes.values_mut().flatten() {
            line.at = moment(line.at);
        }
        for line in all.evals.values_mut().flatten() {
            line.at = moment(line.at);
        }
        all
    }

    /// Takes the next line.
    ///
    /// Lines come in the order in which they were written. One of a moment before that of the line before it in its series
    /// was written after the clock had been set back: the later clock is believed. What a server counted in between is added
    /// to it; what only said how things were then is left out.
    pub fn take(&mut self, mut line: Line) {
        let Some(odd) = tidy(&mut line) else {
            self.doubts.odd += 1;
            return;
        };
        self.doubts.odd += odd;
        let at = match &line {
            Line::Head(head) => {
                self.every = head.every;
                return;
            }
            Line::Server(line) => line.at,
            Line::Node(line) => line.at,
            Line::Eval(line) => line.at,
        };
        let (points, set_back) = self.add(line);
        self.points = self.points.saturating_add_signed(points);
        if set_back && at < self.last {
            // Until the clock has caught up the other series are no further news.
            self.doubts.set_back += usize::from(self.last > self.stepped);
            self.doubts.by = self.doubts.by.max(self.last.since(at));
            self.stepped = self.last;
        }
        self.last = self.last.max(at);
        if self.points > self.most.unwrap_or(MOST_POINTS) {
            self.thin_out();
        }
    }

    /// How many points there are more, and whether the clock was set back.
    fn add(&mut self, line: Line) -> (isize, bool) {
        match line {
            Line::Head(_) => (0, false),
            Line::Server(line) => {
                let series = self.servers.entry(line.unit.clone()).or_default();
                let before = series.len();
                let set_back = series.take(&line);
                (series.len().cast_signed() - before.cast_signed(), set_back)
            }
            Line::Node(line) => {
                let lines = self.nodes.entry(line.node.clone()).or_default();
                in_order(lines, line, |line| line.at)
            }
            Line::Eval(line) => {
                let lines = self.evals.entry(line.eval.clone()).or_default();
                in_order(lines, line, |line| line.at)
            }
        }
    }

    fn thin_out(&mut self) {
        let most = self.most.unwrap_or(MOST_POINTS);
        let least = self.every.0.clamp(1, WIDEST.0) * 2;
        self.width = self.width.max(Millis(least));
        self.thin_out_to_width();
        // Pieces get wider only where that was not enough.
        while self.points > most - most / 10 {
            if self.width >= WIDEST {
                // So many servers, or starts of them: there is nothing left to be made one.
                self.most = Some(most.saturating_mul(2));
                return;
            }
            self.width.0 *= 2;
            self.thin_out_to_width();
        }
    }

    fn thin_out_to_width(&mut self) {
        for series in self.servers.values_mut() {
            series.thin_out(self.width);
        }
        for lines in self.nodes.values_mut() {
            last_of_each(lines, self.width, |line| line.at);
        }
        for lines in self.evals.values_mut() {
            last_of_each(lines, self.width, |line| line.at);
        }
        let servers: usize = self.servers.values().map(ServerSeries::len).sum();
        let nodes: usize = self.nodes.values().map(Vec::len).sum();
        let evals: usize = self.evals.values().map(Vec::len).sum();
        self.points = servers + nodes + evals;
    }
}

/// Adds a line, and leaves out those before it that are of later moments.
fn in_order<T>(lines: &mut Vec<T>, line: T, at: impl Fn(&T) -> Timestamp) -> (isize, bool) {
    let before = lines.len();
    while lines.pop_if(|last| at(last) > at(&line)).is_some() {}
    let set_back = lines.len() < before;
    lines.push(line);
    (lines.len().cast_signed() - before.cast_signed(), set_back)
}

/// Keeps the last line of each piece of time: these say what is, not what came.
fn last_of_each<T>(lines: &mut Vec<T>, width: Millis, at: impl Fn(&T) -> Timestamp) {
    let piece = |line: &T| at(line).0.div_ceil(width.0.max(1));
    let mut kept: Vec<T> = Vec::new();
    for line in std::mem::take(lines) {
        match kept.last_mut() {
            Some(last) if piece(last) == piece(&line) => *last = line,
            _ => kept.push(line),
        }
    }
    *lines = kept;
}
