//! The chart beside the numbers: wall times as multiples of ours, on a logarithmic axis, as SVG.

use std::fmt::Write as _;

use super::rounds::{Compared, Row};
use super::table::seconds;

const WIDTH: f64 = 960.0;
/// Left of it stand the names.
const LEFT: f64 = 190.0;
/// Right of it is room for the longest bar's figures.
const RIGHT: f64 = 820.0;
const TOP: f64 = 84.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
/// Between two workloads, with the title of the next.
const GAP: f64 = 40.0;
/// Colours that people who see colours differently can tell apart (Okabe and Ito), in the order of the rows.
const COLOURS: [&str; 6] = ["#0072B2", "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#999999"];

/// A picture of all workloads; `subtitle` says when and on what.
pub(super) fn draw(compared: &[Compared], subtitle: &str) -> String {
    let axis = Axis::of(compared);
    let (mut body, mut y) = (String::new(), TOP);
    for one in compared {
        let Some(ours) = one.ours_cold() else { continue };
        y += GAP;
        let _ = writeln!(body, r#"<text x="16" y="{:.0}" class="group">{}</text>"#, y - 8.0, escape(&one.title));
        for (row, colour) in one.rows.iter().zip(COLOURS.iter().cycle()) {
            body.push_str(&bar(row, ours, &axis, y, colour));
            y += STEP;
        }
    }
    let bottom = y + 6.0;
    let height = bottom + 62.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" width=\"{WIDTH:.0}\" \
         height=\"{height:.0}\" role=\"img\">\n<style>text {{ font: 13px sans-serif; fill: #222 }} .title {{ font-size: 18px; \
         font-weight: bold }} .group {{ font-weight: bold }} .small {{ fill: #555 }} .grid {{ stroke: #ddd }} .one {{ stroke: \
         #222 }} .label {{ stroke: #fff; stroke-width: 4px; paint-order: stroke }}</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"30\" class=\"title\">Copying server-side: wall time as a multiple of ours (cold)</text>\n\
         <text x=\"16\" y=\"52\" class=\"small\">{}</text>\n{}{body}\
         <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">wall time / our cold wall time (logarithmic; shorter is faster; \
         in brackets the seconds)</text>\n</svg>\n",
        escape(subtitle),
        axis.grid(TOP + 4.0, bottom),
        f64::midpoint(LEFT, RIGHT),
        bottom + 46.0,
    )
}

fn bar(row: &Row, ours: f64, axis: &Axis, y: f64, colour: &str) -> String {
    let middle = y + BAR - 4.5;
    let mut text =
        format!("<text x=\"{:.0}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>\n", LEFT - 8.0, escape(&row.name));
    let Some(wall) = row.wall_seconds() else {
        let _ = writeln!(text, r#"<text x="{:.0}" y="{middle:.1}" class="small">failed</text>"#, LEFT + 6.0);
        return text;
    };
    let (ratio, end) = (wall / ours, axis.x(wall / ours));
    let reckoned = if row.samples.iter().any(|sample| sample.copied_only.is_some()) { ", reckoned" } else { "" };
    let _ = writeln!(
        text,
        r#"<rect x="{LEFT:.0}" y="{y:.1}" width="{:.1}" height="{BAR:.0}" fill="{colour}"/>"#,
        end - LEFT
    );
    let (digits, end) = (if ratio < 10.0 { 2 } else { 0 }, end + 6.0);
    let label = format!("{ratio:.digits$} × ({} s{reckoned})", seconds(wall));
    let _ = writeln!(text, r#"<text x="{end:.1}" y="{middle:.1}" class="label">{label}</text>"#);
    text
}

/// Whole powers of ten that hold all ratios.
struct Axis {
    least: i32,
    most: i32,
}

impl Axis {
    fn of(compared: &[Compared]) -> Self {
        let ratios = compared.iter().flat_map(|one| {
            let ours = one.ours_cold();
            one.rows.iter().filter_map(move |row| Some((row.wall_seconds()? / ours?).log10()))
        });
        let (least, most) = ratios.fold((0.0_f64, 0.0_f64), |(least, most), log| (least.min(log), most.max(log)));
        #[expect(clippy::cast_possible_truncation, reason = "a few powers of ten")]
        // a power below the shortest bar, so that it can be seen
        let (least, most) = ((least - 0.15).floor() as i32, most.ceil() as i32);
        Self { least, most: most.max(1) }
    }

    fn x(&self, ratio: f64) -> f64 {
        let share = (ratio.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn grid(&self, top: f64, bottom: f64) -> String {
        let mut text = String::new();
        for power in self.least..=self.most {
            let (x, class) = (self.x(10_f64.powi(power)), if power == 0 { "one" } else { "grid" });
            let _ = writeln!(text, r#"<line x1="{x:.1}" y1="{top:.0}" x2="{x:.1}" y2="{bottom:.0}" class="{class}"/>"#);
            let label = 10_f64.powi(power);
            let _ = writeln!(text, r#"<text x="{x:.1}" y="{:.0}" text-anchor="middle">{label}</text>"#, bottom + 20.0);
        }
        text
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_logarithmic_and_holds_all() {
        let axis = Axis { least: -1, most: 2 };
        assert!((axis.x(0.1) - LEFT).abs() < 0.01 && (axis.x(100.0) - RIGHT).abs() < 0.01);
        assert!((axis.x(1.0) - LEFT - (RIGHT - LEFT) / 3.0).abs() < 0.01);
        assert!((axis.x(1e9) - RIGHT).abs() < 0.01);
    }

    #[test]
    fn the_picture_is_sound_xml() {
        let picture = draw(&[], "2026 <1> & more");
        let document = roxmltree::Document::parse(&picture).unwrap();
        let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.contains(&"2026 <1> & more"), "{texts:?}");
    }
}
