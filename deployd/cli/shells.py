"""Scripts by which shells complete `deployd`, written from the parser's verbs. Pure.

Each script finds the verb that is being typed, skipping options and their values, and completes what stands
there: verbs, options, choices, files, or names that `deployd __complete KIND` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from deployd.cli.commands import KINDS, Command, Option, commands

__all__ = ["SHELLS", "bash", "fish", "zsh"]


def bash() -> str:
    """For bash 4 and newer."""
    found = commands()
    return f"""\
# bash completion of deployd: eval "$(deployd completion bash)"
_deployd_ask() {{
    local -a given=()
    local i
    for ((i = 1; i + 1 < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
            --world | --server | --context) given+=("${{COMP_WORDS[i]}}" "${{COMP_WORDS[i + 1]}}") ;;
        esac
    done
    "${{COMP_WORDS[0]}}" __complete "$1" "${{given[@]}}" 2>/dev/null
}}

_deployd() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} at='' place=0 value='' what='' i word
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        if [[ -n $value ]]; then
            value=''
            continue
        fi
        case "$at $word" in
{_cases(_values(found), "value='{0}'", 12)}
            *' -'*) ;;
{_paths(found, "at='{0}'", 12)}
            *) place=$((place + 1)) ;;
        esac
    done
    if [[ -n $value ]]; then
        what=$value
    elif [[ $cur == -* ]]; then
        case $at in
{_cases(_flags(found), "what='words:{0}'", 12)}
        esac
    else
        case "$at $place" in
{_cases(_places(found), "what='{0}'", 12)}
        esac
    fi
    case $what in
        words:*) COMPREPLY=($(compgen -W "${{what#words:}}" -- "$cur")) ;;
        files) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")) ;;
        {" | ".join(KINDS)}) COMPREPLY=($(compgen -W "$(_deployd_ask "$what")" -- "$cur")) ;;
    esac
}}
complete -F _deployd deployd
"""


def zsh() -> str:
    """For zsh 5."""
    found = commands()
    return f"""\
#compdef deployd
# zsh completion of deployd: eval "$(deployd completion zsh)"
_deployd_ask() {{
    local -a given
    local i
    for ((i = 2; i + 1 < CURRENT; i++)); do
        case ${{words[i]}} in
            (--world|--server|--context) given+=("${{words[i]}}" "${{words[i + 1]}}") ;;
        esac
    done
    "${{words[1]}}" __complete "$1" "${{given[@]}}" 2>/dev/null
}}

_deployd() {{
    local at='' place=0 value='' what='' i word
    local -a told
    for ((i = 2; i < CURRENT; i++)); do
        word=${{words[i]}}
        if [[ -n $value ]]; then
            value=''
            continue
        fi
        case "$at $word" in
{_cases(_values(found), "value='{0}'", 12)}
            (*' -'*) ;;
{_paths(found, "at='{0}'", 12)}
            (*) place=$((place + 1)) ;;
        esac
    done
    if [[ -n $value ]]; then
        what=$value
    elif [[ ${{words[CURRENT]}} == -* ]]; then
        case $at in
{_cases(_flags(found), "what='words:{0}'", 12)}
        esac
    else
        case "$at $place" in
{_cases(_places(found), "what='{0}'", 12)}
        esac
    fi
    case $what in
        (words:*) compadd -- ${{=what#words:}} ;;
        (files) _files ;;
        ({"|".join(KINDS)}) told=("${{(@f)$(_deployd_ask $what)}}"); compadd -- ${{told:#}} ;;
    esac
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _deployd "$@"
else
    (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i; }}
    compdef _deployd deployd
fi
"""


def fish() -> str:
    """For fish 3."""
    found = commands()
    lines = [
        "# fish completion of deployd: deployd completion fish | source",
        "function __deployd_at",
        "    set -l at",
        "    set -l place 0",
        "    set -l value",
        "    for word in (commandline -opc)[2..-1]",
        '        if test -n "$value"',
        "            set value",
        "            continue",
        "        end",
        '        switch "$at $word"',
    ]
    for pattern in _values(found):
        lines += [f"            case {_quoted_all(pattern)}", "                set value yes"]
    lines += ["            case '* -*'", "                true"]
    for one in found:
        if one.path:
            lines += [f"            case '{_key(one.path[:-1])} {one.path[-1]}'"]
            lines += [f"                set at '{_key(one.path)}'"]
    lines += [
        "            case '*'",
        "                set place (math $place + 1)",
        "        end",
        "    end",
        '    test "$argv[1]" = "$at"; and begin; test -z "$argv[2]"; or test "$argv[2]" = "$place"; end',
        "end",
        "function __deployd_ask",
        "    string match -q -- '-*' (commandline -ct); and return",
        "    set -l words (commandline -opc)",
        "    set -l given",
        "    for i in (seq 2 (math (count $words) - 1))",
        "        contains -- $words[$i] --world --server --context",
        "        and set given $given $words[$i] $words[(math $i + 1)]",
        "    end",
        "    $words[1] __complete $argv[1] $given 2>/dev/null",
        "end",
        "complete -c deployd -f",
    ]
    helps = {one.path: one.help for one in found}
    for one in found:
        here = _key(one.path)
        complete = f"complete -c deployd -n \"__deployd_at '{here}'"
        for verb in one.verbs:
            lines.append(f'{complete} 0" -a {verb} -d {_said(helps[*one.path, verb])}')
        for place, argument in enumerate(one.arguments):
            if (given := _fish_value(argument)) is not None:
                where = "" if argument.many else f" {place}"
                lines.append(f'{complete}{where}" {given}')
        for option in one.options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag[1] == "-" else f"-s {flag[1:]}" for flag in option.flags
            )
            given = f" -r {_fish_value(option) or ''}".rstrip() if option.takes_value else ""
            lines.append(f'{complete}" {flags}{given} -d {_said(option.help)}')
    return "\n".join(lines) + "\n"


SHELLS: Mapping[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _key(path: Iterable[str]) -> str:
    return "/".join(path)


def _what(option: Option) -> str:
    if option.choices:
        return f"words:{' '.join(option.choices)}"
    return option.kind or "none"


def _values(found: list[Command]) -> dict[str, str]:
    """What follows an option that takes a value: by patterns of `VERB OPTION`."""
    return {
        "|".join(f"'{_key(one.path)} {flag}'" for flag in option.flags): _what(option)
        for one in found
        for option in one.options
        if option.takes_value
    }


def _flags(found: list[Command]) -> dict[str, str]:
    return {
        f"'{_key(one.path)}'": " ".join(flag for option in one.options for flag in option.flags)
        for one in found
    }


def _places(found: list[Command]) -> dict[str, str]:
    """What stands at each place behind a verb."""
    places = {}
    for one in found:
        if one.verbs:
            places[f"'{_key(one.path)} 0'"] = f"words:{' '.join(one.verbs)}"
        for place, argument in enumerate(one.arguments):
            places[f"'{_key(one.path)} '*" if argument.many else f"'{_key(one.path)} {place}'"] = _what(
                argument
            )
    return places


def _cases(cases: Mapping[str, str], then: str, indent: int) -> str:
    """As bash and zsh have them."""
    return "\n".join(f"{' ' * indent}{pattern}) {then.format(what)} ;;" for pattern, what in cases.items())


def _paths(found: list[Command], then: str, indent: int) -> str:
    return _cases(
        {f"'{_key(one.path[:-1])} {one.path[-1]}'": _key(one.path) for one in found if one.path}, then, indent
    )


def _quoted_all(pattern: str) -> str:
    return pattern.replace("'|'", "' '")


def _fish_value(option: Option) -> str | None:
    if option.choices:
        return f"-a '{' '.join(option.choices)}'"
    if option.kind == "files":
        return "-F"
    return f"-a '(__deployd_ask {option.kind})'" if option.kind else None


def _said(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
