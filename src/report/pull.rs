//! How far something is that takes long: the pull of an image, put together from what is told of its
//! layers, or a file that goes up or comes down as a whole.

use jiff::Timestamp;

use super::Look;
use super::text::count;
use super::time::duration;
use crate::event::Progress;

/// How many layers have a line of their own while they are on their way.
const SHOWN: usize = 6;

/// How long a bar is, in columns.
const BAR: usize = 24;

/// How often a plain log says how far a pull is, at most, in seconds.
const AGAIN_AFTER: i64 = 10;

/// An image, or a file, on its way.
#[derive(Debug)]
pub(super) struct Pull {
    what: String,
    layers: Vec<Layer>,
    /// Of what has no layers: what happens to it, how far that is and how far it goes, in bytes.
    whole: Option<(String, u64, Option<u64>)>,
    began: Timestamp,
    /// When it was last said how far it is.
    told: Timestamp,
    complete: bool,
}

#[derive(Debug)]
struct Layer {
    id: String,
    stage: Stage,
    /// How far the stage is, and how far it goes, in bytes.
    current: u64,
    total: u64,
    /// How large the download is, where that is known.
    size: u64,
    downloaded: u64,
}

/// What happens to a layer, in the order in which it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Downloading,
    Downloaded,
    Extracting,
    Done,
    /// The engine had it before.
    There,
}

impl Pull {
    /// Begins with the first thing that is told.
    pub(super) fn new(progress: &Progress, at: Timestamp) -> Self {
        let what = progress.what.clone();
        let mut pull = Self { what, layers: Vec::new(), whole: None, began: at, told: at, complete: false };
        pull.take(progress);
        pull
    }

    /// Whether something that is told is about this image.
    pub(super) fn is_of(&self, progress: &Progress) -> bool {
        self.what == progress.what
    }

    pub(super) fn take(&mut self, progress: &Progress) {
        let Some(id) = &progress.part else {
            if let Some(current) = progress.current {
                self.whole = Some((progress.status.to_lowercase(), current, progress.total));
            }
            self.complete |= ["Status:", "Digest:"].iter().any(|end| progress.status.starts_with(end));
            return;
        };
        let index = self.layers.iter().position(|layer| layer.id == *id).unwrap_or_else(|| {
            let stage = Stage::Waiting;
            self.layers.push(Layer { id: id.clone(), stage, current: 0, total: 0, size: 0, downloaded: 0 });
            self.layers.len() - 1
        });
        let layer = &mut self.layers[index];
        layer.stage = Stage::of(&progress.status);
        (layer.current, layer.total) = (progress.current.unwrap_or(0), progress.total.unwrap_or(0));
        match layer.stage {
            Stage::Downloading => {
                layer.size = layer.size.max(layer.total);
                layer.downloaded = layer.current;
            }
            Stage::Waiting | Stage::There => {}
            Stage::Downloaded | Stage::Extracting | Stage::Done => layer.downloaded = layer.size,
        }
    }

    /// What is pulled, as the beginning of a sentence about it.
    pub(super) fn begun(&self) -> String {
        match &self.whole {
            Some((doing, ..)) => format!("{doing} {}", self.what),
            None => format!("pulling {}", self.what),
        }
    }

    /// How far it is; to be said in a plain log no more often than every ten seconds.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<String> {
        let is_due = now.as_second() - self.told.as_second() >= AGAIN_AFTER;
        is_due.then(|| {
            self.told = now;
            self.so_far()
        })
    }

    /// In one line: `pulling nginx:1.27: 12.3 of 45.6 MB, 2 of 5 layers`.
    pub(super) fn so_far(&self) -> String {
        if self.layers.is_empty() {
            return match &self.whole {
                Some((_, current, Some(total))) if total > current => {
                    format!("{}: {} of {}", self.begun(), size(*current), size(*total))
                }
                _ => self.begun(),
            };
        }
        let (downloaded, size) = self.bytes();
        let done = self.layers.iter().filter(|layer| layer.stage.is_done()).count();
        let bytes = if size > 0 { format!("{}, ", of(downloaded, size)) } else { String::new() };
        format!("{}: {bytes}{done} of {}", self.begun(), count(self.layers.len(), "layer"))
    }

    /// What is said of it once it is over; `None` when it broke off, which the step's end tells.
    pub(super) fn ended(&self, now: Timestamp) -> Option<String> {
        let all = !self.layers.is_empty() && self.layers.iter().all(|layer| layer.stage.is_done());
        if !self.complete && !all {
            return None;
        }
        let took = u64::try_from(now.as_millisecond() - self.began.as_millisecond()).unwrap_or(0);
        let there = self.layers.iter().filter(|layer| layer.stage == Stage::There).count();
        let mut text = format!("pulled {}", self.what);
        if !self.layers.is_empty() {
            text.push_str(&format!(": {} in {}", size(self.bytes().1), count(self.layers.len(), "layer")));
        }
        if there > 0 {
            text.push_str(&format!(", {there} of them already there"));
        }
        Some(format!("{text}, in {}", duration(took)))
    }

    /// A line for each layer that is on its way, and one for the rest of them; none once all are done.
    pub(super) fn lines(&self, look: Look) -> Vec<String> {
        let moving: Vec<&Layer> = self.layers.iter().filter(|layer| layer.stage.moves()).collect();
        let mut lines: Vec<String> = moving.iter().take(SHOWN).map(|layer| layer.line(look)).collect();
        let waiting = self.layers.iter().filter(|layer| matches!(layer.stage, Stage::Waiting | Stage::Downloaded));
        let done = self.layers.iter().filter(|layer| layer.stage.is_done()).count();
        let rest =
            [(moving.len().saturating_sub(SHOWN), "more on their way"), (waiting.count(), "waiting"), (done, "done")];
        let rest: Vec<String> = rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if done < self.layers.len() && !rest.is_empty() {
            lines.push(format!("layers: {}", rest.join(", ")));
        }
        lines
    }

    fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&Layer) -> u64| self.layers.iter().map(of).fold(0, u64::saturating_add);
        (sum(|layer| layer.downloaded), sum(|layer| layer.size))
    }
}

impl Stage {
    fn of(status: &str) -> Self {
        match status {
            "Downloading" => Self::Downloading,
            "Verifying Checksum" | "Download complete" => Self::Downloaded,
            "Extracting" => Self::Extracting,
            "Pull complete" => Self::Done,
            "Already exists" => Self::There,
            _ => Self::Waiting,
        }
    }

    fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::There)
    }

    fn moves(self) -> bool {
        matches!(self, Self::Downloading | Self::Extracting)
    }
}

impl Layer {
    fn line(&self, look: Look) -> String {
        let id = self.id.get(..12).unwrap_or(&self.id);
        let doing = if self.stage == Stage::Extracting { "extracting " } else { "downloading" };
        if self.total == 0 {
            let so_far = if self.current > 0 { format!("  {}", size(self.current)) } else { String::new() };
            return format!("{id}  {doing}{so_far}");
        }
        let full = u64::try_from(BAR).unwrap_or(u64::MAX);
        let filled = self.current.min(self.total).saturating_mul(full) / self.total;
        let filled = usize::try_from(filled).unwrap_or(BAR);
        let (ink, paper) = if look.unicode { ("█", "░") } else { ("#", ".") };
        let bar = ink.repeat(filled) + &paper.repeat(BAR - filled);
        format!("{id}  {doing}  {bar}  {}", of(self.current, self.total))
    }
}

/// Units of a thousand, as registries and engines count.
const UNITS: [(&str, u64); 4] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

/// The unit that fits a size.
fn unit(bytes: u64) -> (&'static str, u64) {
    UNITS.into_iter().find(|(_, unit)| bytes >= *unit).unwrap_or(("B", 1))
}

/// A number of bytes in a unit, with one decimal: `12.3`.
fn number(bytes: u64, unit: u64) -> String {
    match unit {
        1 => bytes.to_string(),
        _ => format!("{}.{}", bytes / unit, bytes % unit / (unit / 10)),
    }
}

/// A number of bytes in the unit that fits it: `12.3 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let (name, unit) = unit(bytes);
    format!("{} {name}", number(bytes, unit))
}

/// A part of a size, both in the unit of the whole: `12.3 of 45.6 MB`.
fn of(current: u64, total: u64) -> String {
    let (name, unit) = unit(total);
    format!("{} of {} {name}", number(current, unit), number(total, unit))
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    fn told(part: Option<&str>, status: &str, current: u64, total: u64) -> Progress {
        Progress {
            what: "shop/web:1.2".to_owned(),
            part: part.map(str::to_owned),
            status: status.to_owned(),
            current: Some(current).filter(|n| *n > 0),
            total: Some(total).filter(|n| *n > 0),
        }
    }

    fn pull(told_so_far: &[Progress]) -> Pull {
        let mut pull = Pull::new(&told_so_far[0], at(0));
        told_so_far[1..].iter().for_each(|progress| pull.take(progress));
        pull
    }

    #[test]
    fn layers_on_their_way_have_bars_and_the_rest_is_counted() {
        let mut told_so_far =
            vec![told(None, "Pulling from shop/web", 0, 0), told(Some("base"), "Already exists", 0, 0)];
        for n in 1..=8 {
            told_so_far.push(told(Some(&format!("layer{n}-0123456789")), "Downloading", n * 500_000, 4_000_000));
        }
        told_so_far.push(told(Some("layer2-0123456789"), "Extracting", 2_000_000, 4_000_000));
        told_so_far.push(told(Some("last"), "Pulling fs layer", 0, 0));
        let pull = pull(&told_so_far);
        insta::assert_snapshot!(pull.lines(Look { unicode: false, ..Look::plain() }).join("\n"), @r"
        layer1-01234  downloading  ###.....................  0.5 of 4.0 MB
        layer2-01234  extracting   ############............  2.0 of 4.0 MB
        layer3-01234  downloading  #########...............  1.5 of 4.0 MB
        layer4-01234  downloading  ############............  2.0 of 4.0 MB
        layer5-01234  downloading  ###############.........  2.5 of 4.0 MB
        layer6-01234  downloading  ##################......  3.0 of 4.0 MB
        layers: 2 more on their way, 1 waiting, 1 done
        ");
        insta::assert_snapshot!(pull.so_far(), @"pulling shop/web:1.2: 21.0 of 32.0 MB, 1 of 10 layers");
        assert_eq!(pull.ended(at(9)), None);
    }

    #[test]
    fn a_pull_that_is_over_has_no_lines_and_says_what_came() {
        let pull = pull(&[
            told(Some("base"), "Already exists", 0, 0),
            told(Some("a"), "Downloading", 100, 12_345_678),
            told(Some("a"), "Download complete", 0, 0),
            told(Some("a"), "Extracting", 5, 12_345_678),
            told(Some("a"), "Pull complete", 0, 0),
        ]);
        assert_eq!(pull.lines(Look::plain()), Vec::<String>::new());
        insta::assert_snapshot!(pull.ended(at(4)).expect("over"), @"pulled shop/web:1.2: 12.3 MB in 2 layers, 1 of them already there, in 4.0 s");
    }

    #[test]
    fn sizes_are_in_units_of_a_thousand() {
        assert_eq!([0, 999, 1_000, 1_550_000, 2_000_000_000].map(size), ["0 B", "999 B", "1.0 kB", "1.5 MB", "2.0 GB"]);
        assert_eq!(of(1_000, 45_600_000), "0.0 of 45.6 MB");
    }
}
