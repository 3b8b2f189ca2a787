"""From what arrived to a verdict, and from verdicts to lines and tables."""
import dataclasses

CLASSES = {"A": "data or a service outside", "B": "authority that implies it", "C": "needs an accomplice",
           "S": "surface", "D": "side effect", "=": "control"}

VERDICTS = ("passed", "failed", "choice", "unshown", "absent")


@dataclasses.dataclass
class Result:
    probe: object
    launcher: object
    # "passed", "failed"; "choice": escaped, and SECURITY.md says so; "unshown": contained, but so it would be without a
    # launcher; "absent": a control that this launcher is not expected to pass
    verdict: str
    escaped: bool
    why: str

    def as_json(self):
        return {"id": self.probe.id, "class": self.probe.kind, "promise": self.probe.promise,
                "text": self.probe.text, "launcher": self.launcher.name, "verdict": self.verdict,
                "escaped": self.escaped, "why": self.why}


def judge(probe, launcher, launch, sinks, token, secret):
    """The sinks decide: a token that arrived, a secret that was told, a change that was seen outside."""
    said = launch.said.get(probe.id)
    if said is None:
        said = "not started" if "started" not in launch.said else "not tried"
    told = secret is not None and secret in said
    seen = launch.checks[probe.id]() if probe.id in launch.checks else False
    arrived = sinks.escapes(token)  # after the check, which may have found the token
    if probe.kind == "=":
        good = bool(sinks.allowed(token)) if ("arrives", "") in probe.words else said == "works"
        return Result(probe, launcher, "passed" if good else "failed" if launcher.controls else "absent", False, said)
    escaped = bool(arrived or told or seen)
    why = (f"arrived: {', '.join(arrived)}" if arrived else "told a secret" if told else "seen outside" if seen
           else f"{said} ({launch.cannot[probe.id]})" if probe.id in launch.cannot else said)
    kind, _ = probe.why
    cannot = probe.id in launch.cannot or kind == "never" or kind == "root" and launcher.inside != 0
    if launcher.bare:
        verdict = "passed" if escaped else "unshown" if cannot else "failed"
    elif escaped:
        verdict = "choice" if kind == "choice" else "failed"
    else:
        # A program that was to be run and was not, is contained only where the launcher says so by design: it
        # refuses the descriptors of this launch. Where it dies in any other way nothing was proved.
        refused = "started" not in launch.said
        own = any(word in ("as", "cwd") for word, _ in probe.words) and launcher.refusal in (None, launch.status)
        verdict = "unshown" if cannot else "failed" if refused and not own or said == "not tried" else "passed"
        if refused and own:
            why = "refused to start: " + (launch.noise[0] if launch.noise else "without a word")
    return Result(probe, launcher, verdict, escaped, why)


def count(results):
    return {verdict: sum(r.verdict == verdict for r in results) for verdict in VERDICTS}


def summary(results):
    n = count(results)
    extra = [f"{n['unshown']} that no run without a launcher lets out either" if n["unshown"] else "",
             f"{n['choice']} open by choice" if n["choice"] else "",
             f"{n['absent']} controls that it is not expected to pass" if n["absent"] else ""]
    return f"{n['passed']} passed, {n['failed']} failed" + "".join(f", {text}" for text in extra if text)


def print_results(results, verbose):
    for r in results:
        if verbose or r.verdict != "passed":
            state = "ESCAPED  " if r.escaped else "contained" if r.probe.kind != "=" else "control  "
            print(f"{r.verdict:8} {state} {r.probe.kind} {r.probe.promise:4} {r.probe.id:32} {r.why}")
            if r.verdict in ("unshown", "choice") and r.probe.note:
                print(f"{'':18} {r.probe.note}")


def markdown(by_launcher):
    """by_launcher: {name: results}. Escapes of each group, of the probes that were tried."""
    groups = list(dict.fromkeys(r.probe.id.split(".")[0] for results in by_launcher.values() for r in results))
    rows = [["group", "probes", *by_launcher], ["---"] * (2 + len(by_launcher))]
    for group in groups + ["all"]:
        mine = {n: [r for r in rs if r.probe.kind != "=" and (group == "all" or r.probe.id.startswith(group + "."))]
                for n, rs in by_launcher.items()}
        size = max(len(rs) for rs in mine.values())
        rows.append([group, str(size), *[str(sum(r.escaped for r in rs)) for rs in mine.values()]])
    for kind, text in CLASSES.items():
        if kind == "=":
            continue
        mine = {n: [r for r in rs if r.probe.kind == kind] for n, rs in by_launcher.items()}
        size = max(len(rs) for rs in mine.values())
        if size:
            rows.append([f"{kind}: {text}", str(size), *[str(sum(r.escaped for r in rs)) for rs in mine.values()]])
    mine = {n: [r for r in rs if r.verdict == "unshown"] for n, rs in by_launcher.items()}
    rows.append(["contained, but without a launcher too", "", *[str(len(rs)) for rs in mine.values()]])
    controls = {n: [r for r in rs if r.probe.kind == "="] for n, rs in by_launcher.items()}
    size = max(len(rs) for rs in controls.values())
    if size:
        rows.append(["controls that work", str(size), *[str(sum(r.verdict == "passed" for r in rs))
                                                        for rs in controls.values()]])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
