use std::{fmt::Write, sync::Arc};

use super::{Pipeline, stage::Node};

/// The sources and stages of a pipeline, and what feeds what, with their counts at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// The nodes.
    pub nodes: Vec<GraphNode>,
    /// Which node feeds which, by their places in `nodes`. Known when they have been subscribed.
    pub edges: Vec<(usize, usize)>,
}

/// A node of a [`Graph`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphNode {
    /// The name of the source or stage.
    pub name: &'static str,
    /// Whether it is a source.
    pub is_source: bool,
    /// The stage that it is a part of.
    pub within: Option<usize>,
    /// Events that have come in.
    pub taken: u64,
    /// Items that have gone out.
    pub out: u64,
    /// Events that are with the dead letters.
    pub dead_lettered: u64,
}

impl Pipeline {
    /// What feeds what, with live counts.
    pub fn graph(&self) -> Graph {
        let node = |node: &Arc<Node>| GraphNode {
            name: node.name,
            is_source: node.is_source,
            within: node.within,
            taken: if node.is_source { node.out() } else { node.taken() },
            out: node.out(),
            dead_lettered: node.dead_letters(),
        };
        Graph {
            pipeline: self.name().clone(),
            nodes: self.nodes().iter().map(node).collect(),
            edges: self.edges(),
        }
    }
}

impl GraphNode {
    fn counts(&self) -> String {
        let mut counts = match self.is_source {
            true => format!("{} out", self.out),
            false => format!("{} in, {} out", self.taken, self.out),
        };
        if self.dead_lettered > 0 {
            // Writing to a string does not fail.
            let _ = write!(counts, ", {} dead letters", self.dead_lettered);
        }
        counts
    }
}

impl Graph {
    /// As [Mermaid](https://mermaid.js.org) draws it.
    ///
    /// ```text
    /// flowchart LR
    ///     n0(["clicks<br/>7000 out"])
    ///     n1["decode<br/>7000 in, 6998 out, 2 dead letters"]
    ///     n0 --> n1
    /// ```
    pub fn mermaid(&self) -> String {
        let text = |text: &str| text.replace('#', "#35;").replace('"', "#quot;").replace('<', "#lt;");
        let mut out = String::from("flowchart LR\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let (open, close) = if node.is_source { ("([", "])") } else { ("[", "]") };
            let _ = writeln!(out, "    n{index}{open}\"{}<br/>{}\"{close}", text(node.name), node.counts());
        }
        for (from, to) in &self.edges {
            let _ = writeln!(out, "    n{from} --> n{to}");
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(within) = node.within {
                let _ = writeln!(out, "    n{within} -.- n{index}");
            }
        }
        out
    }

    /// As Graphviz draws it.
    pub fn dot(&self) -> String {
        let text = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut out = format!("digraph \"{}\" {{\n    rankdir=LR;\n", text(&self.pipeline));
        for (index, node) in self.nodes.iter().enumerate() {
            let shape = if node.is_source { "oval" } else { "box" };
            let label = format!("{}\\n{}", text(node.name), node.counts());
            let _ = writeln!(out, "    n{index} [shape={shape}, label=\"{label}\"];");
        }
        for (from, to) in &self.edges {
            let _ = writeln!(out, "    n{from} -> n{to};");
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(within) = node.within {
                let _ = writeln!(out, "    n{within} -> n{index} [style=dotted, dir=none];");
            }
        }
        out.push_str("}\n");
        out
    }
}
