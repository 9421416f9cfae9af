# ---- Small things -----------------------------------------------------------------------------------
now_ms() { # -> NOW
  if [[ -n ${EPOCHREALTIME-} ]]; then NOW=${EPOCHREALTIME/[.,]/}; NOW=${NOW%???}; else NOW=$(date +%s%3N); fi
}
say() { # to the terminal and to supervisor.log; neither may fail us
  printf 'toolorch: %s: %s\n' "$U_UNIT" "$*" >&2 2>/dev/null
  [[ -n ${D-} ]] && printf '%(%FT%T%z)T %s\n' -1 "$*" 2>/dev/null >>"$D/supervisor.log"
  return 0
}
usage() { printf 'toolorch: %s: %s\n' "$U_UNIT" "$1" >&2; exit 64; }
to_ms() { # SECONDS -> MS
  [[ $1 =~ ^([0-9]{1,7})(\.([0-9]{1,3})[0-9]*)?$ ]] || return 1
  local f=${BASH_REMATCH[3]}000
  MS=$((10#${BASH_REMATCH[1]} * 1000 + 10#${f:0:3}))
}
nap() { # SECONDS, without starting a process
  [[ -n ${NAP-} ]] || exec {NAP}<> <(:)
  read -rt "$1" -u "$NAP" _
}
u_here() { # PATH -> PLACE, with ~ and ${HOME} of this machine
  PLACE=$1
  case $PLACE in
    '~') PLACE=${HOME-} ;;
    '~/'*) PLACE=${HOME-}/${PLACE#'~/'} ;;
    '${HOME}'*) PLACE=${HOME-}${PLACE#'${HOME}'} ;;
    '$HOME'/*) PLACE=${HOME-}${PLACE#'$HOME'} ;;
  esac
}
json() { # TEXT -> JSON, a string or null
  [[ -n $1 ]] || { JSON=null; return; }
  JSON=${1//[$'\001'-$'\037'$'\177']/?}; JSON=${JSON//\\/\\\\}; JSON=\"${JSON//\"/\\\"}\"
}
number() { [[ $1 =~ ^-?[0-9]+$ ]] && JSON=$1 || JSON=null; }

# ---- The state directory ----------------------------------------------------------------------------
own_dir() { # DIR: refuses what another user could have put there
  WHY=
  if [[ -L $1 ]]; then WHY="\`$1\` is a symbolic link"
  elif [[ ! -d $1 ]]; then WHY="\`$1\` is not a directory or cannot be made"
  elif [[ ! -O $1 ]]; then WHY="\`$1\` belongs to another user"
  elif [[ ! -w $1 || ! -x $1 ]]; then WHY="\`$1\` is not writable"; fi
  [[ -z $WHY ]] || { echo "toolorch: $U_UNIT: state directory refused: $WHY" >&2; exit 78; }
}
open_dir() { # -> D, RUN_DIR.  `make`: make what is missing, or else false.  Exits 78 where the place cannot be trusted
  local base=${U_CALLER[TOOLORCH_STATE]-} dir missing='' i mode modes
  base=${base:-/tmp/toolorch-$UID}; [[ $base == /* ]] || base=$PWD/$base
  local dirs=("$base" "$base/$RUN" "$base/$RUN/$U_UNIT")
  RUN_DIR=${dirs[1]}
  for dir in "${dirs[@]}"; do
    if [[ -e $dir || -L $dir ]]; then own_dir "$dir"; else missing=1; fi
  done
  umask 077
  if [[ ${1-} != make ]]; then
    [[ -z $missing ]] || return 1
    D=${dirs[2]}; no_links; return 0
  fi
  if [[ -n $missing || ! -d ${dirs[2]}/.new ]]; then
    mkdir -p -- "${dirs[2]}/.new"
    for dir in "${dirs[@]}"; do own_dir "$dir"; done
  fi
  D=${dirs[2]}; no_links
  mapfile -t modes < <(stat -L -c '%a %s' -- "${dirs[@]}" "${LOG:-$D/log}" 2>/dev/null)
  SIZE=0; ((${#modes[@]} > 3)) && SIZE=${modes[3]#* }
  for i in "${!dirs[@]}"; do
    mode=${modes[i]%% *}
    [[ ${mode: -2:1} == [2367] || ${mode: -1} == [2367] ]] || continue
    echo "toolorch: $U_UNIT: state directory refused: others can write in \`${dirs[i]}\` (mode $mode)" >&2; exit 78
  done
}
no_links() { # what we write goes where it stands
  local file
  for file in "$D"/* "${LOG:-$D/log}"; do
    [[ -L $file && (-f $file || ! -e $file) ]] || continue
    echo "toolorch: $U_UNIT: \`$file\` is a symbolic link: remove it" >&2; exit 78
  done
}
declare -A S=()
load_state() { # file `state` -> S; false where there is none
  local lines line; S=()
  [[ -f $D/state ]] || return 1
  mapfile -t lines 2>/dev/null <"$D/state"
  for line in "${lines[@]}"; do [[ $line == *=* ]] && S[${line%%=*}]=${line#*=}; done
  [[ -n ${S[format]-} ]]
}
U_KEYS='unit run generation epoch launch host boot super super_start pid start port gpus log log_from nofile started_at phase exit_code signal requested reason ended_at'
save_state() { # [FILE…]: S -> file `state`, with others that are ready in .new.  A crash leaves the old or the new one
  local key text="format=$U_FORMAT" value
  for key in $U_KEYS; do
    value=${S[$key]-}; text+=$'\n'"$key=${value//[$'\n\r']/ }"
  done
  [[ -d $D/.new ]] || mkdir -p -- "$D/.new"
  printf '%s\n' "$text" >"$D/.new/state"
  # What precedes the start need not survive a power cut: nothing else of this boot does.
  [[ ${S[phase]} == starting ]] || sync -d -- "$D/.new/state" 2>/dev/null
  mv -f -- "${@/#/$D/.new/}" "$D/.new/state" "$D/"
}
load_fence() { # -> GENERATION_SEEN, EPOCH_SEEN
  local lines line file; GENERATION_SEEN=0 EPOCH_SEEN=0
  [[ -n $D && -f $D/fence ]] && mapfile -t lines <"$D/fence"
  for line in "${lines[@]}"; do
    [[ $line == generation=+([0-9]) ]] && GENERATION_SEEN=${line#*=}
    [[ $line == epoch=+([0-9]) ]] && EPOCH_SEEN=${line#*=}
  done
  # Whoever takes the run, or ends it, leaves a file with its epoch beside the scripts: they are all that outlives a
  # run.  An earlier owner that wakes up starts and stops nothing, and no start of it that was slow takes effect.
  for file in "${U_LIB%lib/unit.sh}".epoch-*; do
    [[ ${file##*-} =~ ^[0-9]{1,9}$ ]] && ((${file##*-} > EPOCH_SEEN)) && EPOCH_SEEN=${file##*-}
  done
}
superseded() { # by a later owner -> true, and says so
  [[ -n $EPOCH && $EPOCH -lt $EPOCH_SEEN ]] || return
  say "superseded: epoch $EPOCH, but epoch $EPOCH_SEEN owns this run"
}
here_and_now() { # -> BOOT, HOST
  read -r BOOT </proc/sys/kernel/random/boot_id; read -r HOST </proc/sys/kernel/hostname
}
