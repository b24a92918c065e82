//! Which container could be which instance: a pure function of labels, names, images and ports.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::labels;
use super::reference::Reference;
use crate::model::{Address, DockerSpec, InstanceKey, ProjectName, Protocol};

/// Labels that Compose gives to what it makes.
pub(super) const COMPOSE_PROJECT: &str = "com.docker.compose.project";
pub(super) const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const COMPOSE_NUMBER: &str = "com.docker.compose.container-number";

/// An instance that looks for its container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeker<'a> {
    pub(super) address: &'a Address,
    pub(super) spec: &'a DockerSpec,
}

/// What of a container tells whose it could be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) name: String,
    /// The image as the container was made from it.
    pub(super) image: String,
    pub(super) labels: BTreeMap<String, String>,
    /// The ports of the host that it has.
    pub(super) ports: BTreeSet<(u16, Protocol)>,
}

/// Who gets which container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// By address: the place of the container in the list, and what they were matched by.
    pub(super) found: BTreeMap<Address, (usize, String)>,
    /// By address: what equally many speak for, and the places of the containers that it does.
    pub(super) unclear: BTreeMap<Address, (String, Vec<usize>)>,
}

/// What speaks for a container, the strongest first; more of it wins over less of the same strength.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Evidence {
    /// orch's own labels, of a state folder that was lost.
    stamp: bool,
    /// Compose's labels, of a Compose project with the project's name.
    compose: bool,
    /// Compose counts its containers as orch does.
    number: bool,
    name: bool,
    image: bool,
    port: bool,
    /// Compose's labels, of another Compose project: never enough.
    elsewhere: bool,
}

/// Gives each container to at most one instance and each instance at most one container, the best that
/// there is. Where two containers, or two services, have equally much for them, nobody gets any, and
/// what is disputed is not offered to others either. Nor is what another Compose project has for a service
/// of the same name: most projects have a `web` and a `db`.
pub(super) fn matches(project: &ProjectName, seekers: &[Seeker<'_>], views: &[View]) -> Matches {
    let mut levels: BTreeMap<Reverse<Evidence>, Vec<(usize, usize)>> = BTreeMap::new();
    for (seeker, wanted) in seekers.iter().enumerate() {
        for (place, view) in views.iter().enumerate() {
            if let Some(evidence) = evidence(project, wanted, view) {
                levels.entry(Reverse(evidence)).or_default().push((seeker, place));
            }
        }
    }
    let mut matches = Matches::default();
    let (mut settled, mut taken): (BTreeSet<usize>, BTreeSet<usize>) = Default::default();
    for (Reverse(evidence), mut pairs) in levels {
        pairs.retain(|(seeker, place)| !settled.contains(seeker) && !taken.contains(place));
        let told = |seeker: usize, place: usize| told(evidence, project, &seekers[seeker], &views[place]);
        for Group { who, what, whole } in groups(&pairs) {
            taken.extend(&what);
            let services: BTreeSet<_> = who.iter().map(|one| &seekers[*one].address.service).collect();
            // Copies of one service are alike: any container may be any of them.
            let enough = evidence != Evidence { elsewhere: true, ..Evidence::default() };
            if enough && whole && services.len() == 1 && what.len() <= who.len() {
                let mut by_name: Vec<usize> = what.into_iter().collect();
                by_name.sort_by_key(|place| &views[*place].name);
                for (seeker, place) in who.into_iter().zip(by_name) {
                    settled.insert(seeker);
                    matches.found.insert(seekers[seeker].address.clone(), (place, told(seeker, place)));
                }
                continue;
            }
            for seeker in who {
                settled.insert(seeker);
                let places =
                    pairs.iter().filter(|(one, _)| *one == seeker).map(|(_, place)| *place).collect::<Vec<_>>();
                let why = told(seeker, places[0]);
                matches.unclear.insert(seekers[seeker].address.clone(), (why, places));
            }
        }
    }
    matches
}

/// Instances and containers that have equally much for each other, directly or through one another.
#[derive(Debug, Default)]
struct Group {
    who: BTreeSet<usize>,
    what: BTreeSet<usize>,
    /// Whether each of these instances could have each of these containers.
    whole: bool,
}

fn groups(pairs: &[(usize, usize)]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for &(seeker, place) in pairs {
        let (joined, mut apart): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|group| group.who.contains(&seeker) || group.what.contains(&place));
        let mut group = Group { who: BTreeSet::from([seeker]), what: BTreeSet::from([place]), whole: false };
        for other in joined {
            group.who.extend(other.who);
            group.what.extend(other.what);
        }
        apart.push(group);
        groups = apart;
    }
    for group in &mut groups {
        let edges = pairs.iter().filter(|(seeker, _)| group.who.contains(seeker)).count();
        group.whole = edges == group.who.len() * group.what.len();
    }
    groups
}

/// What speaks for a container; `None` when nothing does, or when it says itself that it is another's.
fn evidence(project: &ProjectName, seeker: &Seeker<'_>, view: &View) -> Option<Evidence> {
    let Seeker { address, spec } = seeker;
    let label = |name: &str| view.labels.get(name).map(String::as_str);
    let stamp = match (label(labels::PROJECT), label(labels::ADDRESS)) {
        (None, _) => false,
        (Some(of), Some(at)) if of == project.as_str() && at == address.to_string() => true,
        _ => return None,
    };
    let service = label(COMPOSE_SERVICE);
    let is_service = service == Some(address.service.as_str());
    let is_project = label(COMPOSE_PROJECT) == Some(compose_name(project).as_str());
    let number = match (label(COMPOSE_NUMBER), &address.key) {
        (Some(number), InstanceKey::Replica(index)) => number == index.saturating_add(1).to_string(),
        _ => false,
    };
    // What Compose made for another service, or elsewhere, shares an image or a port with this one by chance.
    let by_chance = service.is_some() && !(is_service && is_project);
    let is_own_name = spec.container_name.as_deref() == Some(view.name.as_str());
    let image = !by_chance && same_repository(&view.image, &spec.image);
    let mut ports = spec.ports.iter().filter_map(|port| Some((port.fixed()?, port.protocol)));
    let evidence = Evidence {
        stamp,
        compose: is_service && is_project,
        number: is_service && is_project && number,
        name: is_own_name || !by_chance && has_name(project, seeker, &view.name),
        image,
        port: !by_chance && ports.any(|port| view.ports.contains(&port)),
        elsewhere: is_service && !is_project,
    };
    (evidence != Evidence::default()).then_some(evidence)
}

/// Compose takes lower-case names only.
fn compose_name(project: &ProjectName) -> String {
    project.as_str().to_lowercase()
}

/// Whether a container has a name that the service could have given it: the service's, or Compose's of
/// now (`shop-web-1`) and before (`shop_web_1`).
fn has_name(project: &ProjectName, seeker: &Seeker<'_>, name: &str) -> bool {
    let address = seeker.address;
    let service = address.service.as_str();
    let numbered = |separator: char| {
        let rest = name.strip_prefix(&compose_name(project))?.strip_prefix(separator)?;
        rest.strip_prefix(service)?.strip_prefix(separator)?.parse::<u32>().ok()
    };
    match (numbered('-').or_else(|| numbered('_')), &address.key) {
        (Some(number), InstanceKey::Replica(index)) => number.checked_sub(1) == Some(*index),
        (Some(_), _) => true,
        (None, InstanceKey::Only) => name == service,
        (None, _) => false,
    }
}

/// The strongest of what speaks for a container, as a fragment.
fn told(evidence: Evidence, project: &ProjectName, seeker: &Seeker<'_>, view: &View) -> String {
    let Seeker { address, spec } = seeker;
    let label = |name: &str| view.labels.get(name).map_or("", String::as_str);
    if evidence.stamp {
        return format!("label {}={address}", labels::ADDRESS);
    }
    if evidence.compose {
        return format!("label {COMPOSE_SERVICE}={}", address.service);
    }
    if evidence.elsewhere && !evidence.name {
        let of = label(COMPOSE_PROJECT);
        return format!("label {COMPOSE_SERVICE}={}, of the Compose project {of}, not {project}", address.service);
    }
    if evidence.name {
        return format!("name {}", view.name);
    }
    let port = spec.ports.iter().find(|port| port.fixed().is_some_and(|of| view.ports.contains(&(of, port.protocol))));
    let port = port.and_then(|port| port.fixed()).filter(|_| evidence.port);
    match (evidence.image, port) {
        (true, Some(port)) => format!("image {}, port {port}", view.image),
        (true, None) => format!("image {}", view.image),
        (false, Some(port)) => format!("port {port}"),
        (false, None) => String::new(),
    }
}

/// Whether two names of images are of one repository.
fn same_repository(a: &str, b: &str) -> bool {
    matches!((Reference::parse(a), Reference::parse(b)), (Ok(a), Ok(b)) if a.repository() == b.repository())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostPort, PortMapping};

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
    }

    fn spec(image: &str, port: Option<u16>) -> DockerSpec {
        let mapping =
            |port| PortMapping { address: None, host: HostPort::One(port), container: 80, protocol: Protocol::Tcp };
        DockerSpec { ports: port.map(mapping).into_iter().collect(), ..DockerSpec::new(image) }
    }

    fn view(name: &str, image: &str, labels: &[(&str, &str)]) -> View {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        View { id: name.to_owned(), name: name.to_owned(), image: image.to_owned(), labels, ports: BTreeSet::new() }
    }

    fn compose(name: &str, project: &str, service: &str, number: &str) -> View {
        view(name, "any", &[(COMPOSE_PROJECT, project), (COMPOSE_SERVICE, service), (COMPOSE_NUMBER, number)])
    }

    /// Lines of who gets what, by what.
    fn run(wanted: &[(&str, DockerSpec)], views: &[View]) -> Vec<String> {
        let addresses: Vec<Address> = wanted.iter().map(|(name, _)| address(name)).collect();
        let seekers: Vec<Seeker<'_>> =
            addresses.iter().zip(wanted).map(|(address, (_, spec))| Seeker { address, spec }).collect();
        let project = ProjectName::new("shop").expect("a name");
        let Matches { found, unclear } = matches(&project, &seekers, views);
        let found = found.iter().map(|(address, (place, by))| format!("{address}: {} by {by}", views[*place].name));
        let unclear = unclear.iter().map(|(address, (by, places))| {
            let names: Vec<&str> = places.iter().map(|place| views[*place].name.as_str()).collect();
            format!("{address}: unclear {} by {by}", names.join(" "))
        });
        found.chain(unclear).collect()
    }

    #[test]
    fn the_strongest_evidence_wins() {
        let labelled = |scope: &str| {
            view("old", "x", &[(labels::PROJECT, "shop"), (labels::ADDRESS, "web"), (labels::SCOPE, scope)])
        };
        let web = || vec![("web", spec("nginx:1.27", Some(8080)))];
        let mut published = view("p", "haproxy", &[]);
        published.ports.insert((8080, Protocol::Tcp));
        let mut weaker = vec![
            compose("other-web-1", "other", "web", "1"),
            published.clone(),
            view("i", "docker.io/library/nginx:1.25", &[]),
            view("web", "x", &[]),
            compose("shop-web-1", "shop", "web", "1"),
            labelled("lost"),
        ];
        let mut by = Vec::new();
        while !weaker.is_empty() {
            by.extend(run(&web(), &weaker));
            weaker.pop();
        }
        assert_eq!(
            by,
            [
                "web: old by label orch.address=web",
                "web: shop-web-1 by label com.docker.compose.service=web",
                "web: web by name web",
                "web: i by image docker.io/library/nginx:1.25",
                "web: p by port 8080",
                "web: unclear other-web-1 by label com.docker.compose.service=web, of the Compose project other, not shop",
            ]
        );
    }

    #[test]
    fn what_is_anothers_is_not_offered() {
        let foreign = [
            view("a", "nginx", &[(labels::PROJECT, "blog"), (labels::ADDRESS, "web")]),
            view("web", "nginx", &[(labels::PROJECT, "shop"), (labels::ADDRESS, "api")]),
            view("c", "nginx", &[(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "proxy")]),
            view("d", "postgres", &[]),
        ];
        assert_eq!(run(&[("web", spec("nginx", Some(80)))], &foreign), Vec::<String>::new());
    }

    #[test]
    fn what_is_disputed_nobody_gets() {
        let two = [compose("shop-web-1", "shop", "web", "1"), compose("shop-web-2", "shop", "web", "2")];
        let unclear = "web: unclear shop-web-1 shop-web-2 by label com.docker.compose.service=web";
        assert_eq!(run(&[("web", spec("nginx", None))], &two), [unclear]);
        let shared = [view("n", "nginx", &[])];
        assert_eq!(
            run(&[("web", spec("nginx", None)), ("api", spec("nginx:2", None))], &shared),
            ["api: unclear n by image nginx", "web: unclear n by image nginx"]
        );
        // More of the same strength decides.
        let mut published = view("m", "nginx", &[]);
        published.ports.insert((8080, Protocol::Tcp));
        let both = [shared[0].clone(), published];
        assert_eq!(run(&[("web", spec("nginx", Some(8080)))], &both), ["web: m by image nginx, port 8080"]);
    }

    #[test]
    fn copies_get_their_numbers_and_are_otherwise_alike() {
        let copies =
            || vec![("web[0]", spec("nginx", None)), ("web[1]", spec("nginx", None)), ("web[2]", spec("nginx", None))];
        let numbered = [compose("x", "shop", "web", "2"), compose("y", "shop", "web", "1")];
        let by = "by label com.docker.compose.service=web";
        assert_eq!(run(&copies(), &numbered), [format!("web[0]: y {by}"), format!("web[1]: x {by}")]);
        let plain = [view("b", "nginx", &[]), view("a", "nginx", &[])];
        assert_eq!(run(&copies(), &plain), ["web[0]: a by image nginx", "web[1]: b by image nginx"]);
    }

    #[test]
    fn names_of_compose_are_known() {
        let named = |name: &str| run(&[("web", spec("x", None))], &[view(name, "y", &[])]).len();
        assert_eq!(["web", "shop-web-1", "shop_web_3"].map(named), [1, 1, 1]);
        assert_eq!(["shop-web", "shop-web-api-1", "web-1", "shop-web_1"].map(named), [0, 0, 0, 0]);
    }
}
