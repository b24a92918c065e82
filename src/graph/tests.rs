use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

type Edges = Vec<(ServiceName, Vec<ServiceName>)>;

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// `"a: b c; b:"` as services and what they need.
fn edges(text: &str) -> Edges {
    let one = |part: &str| {
        let (service, needs) = part.split_once(':').unwrap();
        (name(service.trim()), needs.split_whitespace().map(name).collect())
    };
    text.split(';').map(one).collect()
}

fn build(edges: &Edges) -> Result<Graph, Cycle> {
    Graph::build(edges.iter().map(|(service, needs)| (service, needs)))
}

fn graph(text: &str) -> Graph {
    build(&edges(text)).unwrap()
}

fn words<'a>(names: impl IntoIterator<Item = &'a ServiceName>) -> String {
    names.into_iter().map(ServiceName::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_needed_comes_first_and_names_decide_the_rest() {
    let graph = graph("web: api; api: db cache; cache:; db:; alone:");
    assert_eq!(words(graph.order()), "alone cache db api web");
    let waves: Vec<_> = graph.waves().into_iter().map(|(wave, names)| format!("{wave}: {}", words(names))).collect();
    assert_eq!(waves, ["1: alone cache db", "2: api", "3: web"]);
    assert_eq!(graph.wave(&name("api")), Some(2));
    assert_eq!(graph.wave(&name("nobody")), None);
    assert_eq!((graph.len(), graph.is_empty(), graph.contains(&name("db"))), (5, false, true));
}

#[test]
fn neighbours_and_closures() {
    let graph = graph("web: api; api: db cache; cache:; db:; batch: db");
    assert_eq!(words(graph.dependencies(&name("api"))), "cache db");
    assert_eq!(words(graph.dependents(&name("db"))), "api batch");
    assert_eq!(words(graph.dependencies_of(&[name("web")])), "api cache db");
    assert_eq!(words(graph.dependents_of(&[name("db")])), "api batch web");
    assert_eq!(words(graph.dependents_of(&[name("cache"), name("api")])), "api web");
    assert_eq!(words(graph.dependencies_of(&[name("gone")])), "");
}

#[test]
fn an_unknown_dependency_is_left_out_and_a_name_twice_is_merged() {
    let graph = graph("a: gone b; b:; c:; a: c c");
    assert_eq!(words(graph.dependencies(&name("a"))), "b c");
    assert_eq!(graph.len(), 3);
}

#[test]
fn a_cycle_is_the_shortest_through_its_first_name() {
    for (text, path) in [
        ("a: b; b: a", "a -> b -> a"),
        ("a: a", "a -> a"),
        ("c: a; a: b d; b: c; d: a", "a -> d -> a"),
        ("z: y; y: x; x: z; w: z; v:", "x -> z -> y -> x"),
        ("a: b c; b: d; c: d; d: a", "a -> b -> d -> a"),
        // `a` only needs the circle.
        ("a: b; b: c; c: b", "b -> c -> b"),
    ] {
        assert_eq!(build(&edges(text)).unwrap_err().to_string(), path, "{text}");
    }
}

#[test]
fn every_knot_is_reported() {
    let edges = edges("m: n; n: m; a: a; x: y; y: x m; ok: a");
    let all: Vec<_> = cycles(edges.iter().map(|(s, n)| (s, n))).iter().map(ToString::to_string).collect();
    assert_eq!(all, ["a -> a", "m -> n -> m", "x -> y -> x"]);
}

#[test]
fn the_critical_path_costs_the_most() {
    let graph = graph("web: api; api: db cache; cache:; db:; slow:");
    let cost = |name: &ServiceName| match name.as_str() {
        "cache" => 7,
        "slow" => 8,
        _ => 1,
    };
    let (total, path) = graph.critical_path(cost);
    assert_eq!((total, words(path)), (9, "cache api web".to_owned()));
    assert_eq!(
        Graph::build(std::iter::empty::<(&ServiceName, [&ServiceName; 0])>()).unwrap().critical_path(|_| 1).0,
        0
    );
    assert_eq!(graph.critical_path(|_| u64::MAX).0, u64::MAX);
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let names: Vec<ServiceName> = (0..100_000).map(|n| name(&format!("s{n:06}"))).collect();
    let chain = |closed: bool| {
        let needs = |n: usize| match n {
            0 => closed.then(|| &names[names.len() - 1]),
            _ => Some(&names[n - 1]),
        };
        Graph::build(names.iter().enumerate().map(|(n, name)| (name, needs(n).into_iter().collect::<Vec<_>>())))
    };
    let graph = chain(false).unwrap();
    assert!(graph.order().eq(&names));
    assert_eq!(graph.wave(&names[99_999]), Some(100_000));
    assert_eq!(graph.dependents_of(&[names[0].clone()]).len(), 99_999);
    assert_eq!(graph.critical_path(|_| 1).0, 100_000);
    assert_eq!(chain(true).unwrap_err().path.len(), 100_000);
}

/// Services that only need ones of a smaller number, under names in no such order.
fn acyclic() -> impl Strategy<Value = Edges> {
    (1..40_usize).prop_flat_map(|count| {
        let needs = prop::collection::vec(prop::collection::vec(0..count, 0..5), count);
        let labels = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
        (needs, labels).prop_map(|(needs, labels)| {
            let named = |n: usize| name(&format!("s{}", labels[n]));
            let one = |(n, needs): (usize, Vec<usize>)| {
                (named(n), needs.into_iter().filter(|need| *need < n).map(named).collect())
            };
            needs.into_iter().enumerate().map(one).collect()
        })
    })
}

fn arbitrary() -> impl Strategy<Value = Edges> {
    prop::collection::vec(prop::collection::vec(0..12_u8, 0..3), 12).prop_map(|needs| {
        let named = |n: usize| name(&format!("s{n}"));
        let one = |(n, needs): (usize, Vec<u8>)| (named(n), needs.into_iter().map(|n| named(n.into())).collect());
        needs.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #[test]
    fn every_order_is_topological_and_every_wave_minimal(edges in acyclic()) {
        let graph = build(&edges).unwrap();
        let mut seen = BTreeSet::new();
        for service in graph.order() {
            prop_assert!(graph.dependencies(service).all(|need| seen.contains(need)));
            let deepest = graph.dependencies(service).filter_map(|need| graph.wave(need)).max().unwrap_or(0);
            prop_assert_eq!(graph.wave(service), Some(deepest + 1));
            seen.insert(service);
        }
        prop_assert_eq!(seen.len(), edges.len());
    }

    #[test]
    fn input_order_does_not_matter((edges, shuffled) in acyclic().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle()))) {
        let (one, other) = (build(&edges).unwrap(), build(&shuffled).unwrap());
        prop_assert!(one.order().eq(other.order()));
        prop_assert_eq!(one.critical_path(|n| n.as_str().len() as u64), other.critical_path(|n| n.as_str().len() as u64));
    }

    #[test]
    fn what_is_reported_is_a_cycle_and_the_rest_has_none((edges, shuffled) in arbitrary().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle()))) {
        let needs = |from: &ServiceName, to: &ServiceName| {
            edges.iter().any(|(service, needs)| service == from && needs.contains(to))
        };
        match build(&edges) {
            Ok(graph) => prop_assert_eq!(graph.len(), edges.len()),
            Err(cycle) => {
                let next = cycle.path.iter().cycle().skip(1);
                prop_assert!(cycle.path.iter().zip(next).all(|(from, to)| needs(from, to)));
                prop_assert_eq!(build(&shuffled).unwrap_err(), cycle);
            }
        }
    }
}
