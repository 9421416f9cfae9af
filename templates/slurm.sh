#!/usr/bin/env bash
# What a controller asks the machine from which jobs are submitted: all jobs of a run in one call.  Written by
# `toolorch render`.  It needs bash, coreutils, flock and SLURM's own commands.  Its folder is one that compute nodes see, too.
#
#   bash lib/slurm.sh start RUN JOB UNIT GENERATION LAUNCH EPOCH LOG
#                      has slurm/JOB.sbatch start the unit, in the job that is there or in one that is submitted; prints its id,
#                      and what it was submitted with, an option a line.  One that waits with other options is submitted anew
#   bash lib/slurm.sh stop RUN JOB UNIT EPOCH GRACE   ends the unit; exit 0 when nothing of it is left.  EPOCH may be -
#   bash lib/slurm.sh look RUN [UNIT…]       what SLURM says of the run's jobs, and what these last said of their units
#   bash lib/slurm.sh marks RUN              `JOB-ID UNIT` for each unit of a job that is not over
#   bash lib/slurm.sh end RUN                cancels what is left of the run's jobs; exit 0 when none is
#   bash lib/slurm.sh tail RUN UNIT BYTES    the end of the unit's last log
#   bash lib/slurm.sh keep RUN UNIT          keeps NAME=VALUE pairs, each ended by a NUL, from standard input as the unit's `pass` values
#   bash lib/slurm.sh passed RUN UNIT        what is kept of those, in the same form
#   bash lib/slurm.sh beat RUN               keeps the line on standard input as the owner's sign of life
#   bash lib/slurm.sh clear RUN              removes what the run left here, if no job of it is left
# Exit codes: 0 done, 1 it cannot be done (said), 64 usage, 69 no SLURM here, 73 superseded by a later owner, 75 SLURM does not answer and
#   nothing was submitted: the same may be asked again, 78 it will never be done as it is asked for.
#
# Beside .scripts/ each job has a folder jobs/JOB/: units.ID says which units its script knows, asked.ID what it asked SLURM for,
# want/UNIT what is to run, taken/UNIT.GENERATION (a link, made once by one job, or by a stop that came first: `none`) which job started that, done/UNIT what
# was stopped, ran/UNIT how a start ended, seen/ID.RESTART what its node showed last, load.ID.RESTART what lib/sample.sh said there.
set -u
umask 077
shopt -s nullglob
SCRIPTS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
BASE=${SCRIPTS%/*}
ALIVE=' PENDING CONFIGURING RUNNING SUSPENDED STOPPED REQUEUED REQUEUE_HOLD REQUEUE_FED SPECIAL_EXIT RESIZING SIGNALING STAGE_OUT RESV_DEL_HOLD '

refuse() { printf 'toolorch: %s\n' "$2" >&2; exit "$1"; }
usage() { refuse 64 "$1"; }
is_name() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$ ]] || usage "\`$1\` is not a name"; }
is_number() { [[ $1 =~ ^[0-9]{1,9}$ ]] || usage "\`$1\` is not a number"; }
put() { # FILE TEXT: whole or not at all
  local new; new="${1%/*}/.new.${1##*/}.$BASHPID"
  printf '%s\n' "$2" >"$new" && mv -fT -- "$new" "$1"
}
declare -A WRITTEN=() TAKERS=()
glance() { # -> WRITTEN[file] in seconds, TAKERS[link], of all jobs: a process for each file would cost more than all else
  local line name
  WRITTEN=() TAKERS=()
  : >"$BASE/.now"
  while IFS= read -r line; do
    name=${line#* }
    if [[ $line == l* ]]; then TAKERS[${name% *}]=${name##* }; else WRITTEN[$name]=${line%%.*}; fi
  done < <(find "$BASE/.now" "$BASE"/jobs/*/{id,taken,seen} \( -type l -printf 'l %p %l\n' -o -type f -printf '%T@ %p\n' \) 2>/dev/null)
}
age() { # FILE -> AGE in seconds, at the last glance, by the clock of the file system alone; false where it was not there
  [[ -n ${WRITTEN[$1]-} ]] || return 1
  AGE=$((WRITTEN[$BASE/.now] - WRITTEN[$1])); ((AGE > 0)) || AGE=0
}
wants() { # DIR: a unit of it is to run
  local file verb
  for file in "$1"/want/*; do { read -r verb _ <"$file"; } 2>/dev/null && [[ $verb == run ]] && return; done
  return 1
}
need_slurm() { # shells that are no login shells often lack its place
  command -v squeue >/dev/null && return
  # shellcheck source=/dev/null
  [[ ! -f /etc/profile ]] || { set +u; source /etc/profile >/dev/null 2>&1; set -u; }
  local place
  for place in /opt/slurm/bin /usr/local/slurm/bin /cm/shared/apps/slurm/current/bin; do PATH+=:$place; done
  command -v squeue >/dev/null || refuse 69 "SLURM is not here: \`squeue\` is not found; name the login node in \`slurm.login\`"
}
fence() { # EPOCH: whoever was superseded starts and stops nothing
  local file
  [[ $1 != - ]] || return 0
  is_number "$1"
  for file in "$SCRIPTS"/.epoch-*; do
    ((${file##*-} <= $1)) || refuse 73 "superseded: epoch $1 asks, epoch ${file##*-} owns the run"
  done
}
queue() { # -> QUEUE: `ID|NAME|STATE|REASON|NODES|START|LEFT|LIMIT|PARTITION` of the run's jobs, those that ended lately included; false, with WORDS
  local said rc line
  QUEUE=() WORDS=''
  said=$(timeout --kill-after=2 20 squeue -h -t all -u "$(id -un)" -o '%i|%j|%T|%r|%N|%S|%L|%l|%P' 2>&1); rc=$?
  if ((rc)); then
    WORDS=${said##*$'\n'}; ((rc != 124)) || WORDS='squeue did not answer for 20 s'
    return 1
  fi
  while IFS= read -r line; do [[ $line == *"|$RUN."* ]] && QUEUE+=("$line"); done <<<"$said"
  return 0
}
living() { # JOB -> IDS of its jobs that are not over, first one first; false where SLURM does not say
  local line id name state rest over=''
  IDS=()
  queue || return 1
  { read -r over <"$BASE/jobs/$1/over"; } 2>/dev/null
  for line in "${QUEUE[@]}"; do
    IFS='|' read -r id name state rest <<<"$line"
    # One that waits again after its script had ended was requeued.
    [[ $name == "$RUN.$1" && $ALIVE == *" $state "* ]] && [[ "$id" != "${over% *}" || $state == PENDING ]] && IDS+=("$id")
  done
  ((${#IDS[@]} < 2)) || mapfile -t IDS < <(printf '%s\n' "${IDS[@]}" | sort -n)
}

verb_start() { # JOB UNIT GENERATION LAUNCH EPOCH LOG
  local job=$1 unit=$2 id='' lock
  WAITED=()
  is_name "$job"; is_name "$unit"; is_number "$3"; is_name "$4"; fence "$5"
  [[ -f $SCRIPTS/slurm/$job.sbatch ]] || refuse 1 "\`$SCRIPTS/slurm/$job.sbatch\` is missing: render again"
  need_slurm
  # Of a run of this name whose folder is not this one any more: it would read what is written here.
  if ! is_asked "$job" && living "$job" && ((${#IDS[@]})) && ! is_asked "$job"; then
    refuse 78 "job ${IDS[*]} of a run \`$RUN\` lives and was not submitted from \`$BASE\`: put that run's folder back and end it (toolorch down), or scancel ${IDS[*]}"
  fi
  mkdir -p -- "$BASE/jobs/$job"/{want,given,taken,done,ran,seen} || exit 1
  put "$BASE/jobs/$job/want/$unit" "run $3 $4 $5 - $6" || exit 1
  # Where a file system knows no locks, a second job would find nothing to start.
  exec {lock}>"$BASE/jobs/$job/.lock" && flock -w 90 "$lock" 2>/dev/null
  # Its job was there a moment ago, or shows that it is there: SLURM need not be asked, and may be away.
  glance
  if shows "$BASE/jobs/$job"; then
    id=$SHOWN
  elif age "$BASE/jobs/$job/id" && ((AGE < 3)); then
    { read -r id <"$BASE/jobs/$job/id"; } 2>/dev/null
    asks_the_same "$job" || id=''
  fi
  if [[ -z $id ]]; then
    living "$job" || refuse 75 "SLURM does not answer, so nothing is submitted: $WORDS"
    # One that was submitted to follow another is no duplicate of it.
    if ((${#IDS[@]} > 1)) && [[ "$(cat -- "$BASE/jobs/$job/next" 2>/dev/null)" != "${IDS[*]:0:2}" ]]; then scancel "${IDS[@]:1}"; fi
    id=${IDS[0]-}
    [[ -z $id ]] || ! is_waiting "$id" || asks_the_same "$job" || has_begun "$job" || make_room "$job" "$unit"
  fi
  [[ -z $id ]] || knows "$BASE/jobs/$job/units.$id" "$unit" || make_room "$job" "$unit"
  if [[ -z $id ]]; then
    submit "$job"
    put "$BASE/jobs/$job/units.$id" "$(sed -n 's/^UNITS=(\(.*\))$/\1/p' "$SCRIPTS/slurm/$job.sbatch")"
    put "$BASE/jobs/$job/asked.$id" "$(asked_by "$SCRIPTS/slurm/$job.sbatch")"
  fi
  put "$BASE/jobs/$job/id" "$id" && put "$BASE/jobs/$job/given/$unit" "$3 $id" || exit 1
  # The job for which others waited made room for this one.
  for unit in "${WAITED[@]}"; do put "$BASE/jobs/$job/given/${unit% *}" "${unit#* } $id"; done
  printf '%s\n' "$id"
  if [[ -f $BASE/jobs/$job/asked.$id ]]; then cat -- "$BASE/jobs/$job/asked.$id"; fi
}
# SCRIPT: when SLURM tells it to end follows from its units
asked_by() { sed -n '/^#SBATCH --signal=/!s/^#SBATCH //p' -- "$1"; }
asks_the_same() { # JOB: its script asks for what its job was submitted with, as far as anybody knows
  [[ ! -f $BASE/jobs/$1/asked.$id || $(<"$BASE/jobs/$1/asked.$id") == "$(asked_by "$SCRIPTS/slurm/$1.sbatch")" ]]
}
has_begun() { # JOB: a job took a start of it that is wanted
  local want verb generation rest
  for want in "$BASE/jobs/$1"/want/*; do
    { read -r verb generation rest <"$want"; } 2>/dev/null && [[ $verb == run && -L $BASE/jobs/$1/taken/${want##*/}.$generation ]] && return
  done
  return 1
}
is_asked() { [[ -f $BASE/jobs/$1/asked || -f $BASE/jobs/$1/id ]]; } # JOB: it was submitted from here, or that was tried
knows() { # FILE UNIT: its job was submitted with that unit, as far as anybody knows
  local all
  { read -r all <"$1"; } 2>/dev/null || return 0
  [[ " $all " == *" $2 "* ]]
}
make_room() { # JOB UNIT -> id='', WAITED: a job goes on with the script with which it was submitted, and its GPUs do not grow
  local end=$((SECONDS + 30)) want verb rest
  for want in "$BASE/jobs/$1"/want/*; do
    { read -r verb rest <"$want"; } 2>/dev/null || continue
    [[ $verb == run && ${want##*/} != "$2" ]] || continue
    [[ -L $BASE/jobs/$1/taken/${want##*/}.${rest%% *} ]] || { WAITED+=("${want##*/} ${rest%% *}"); continue; }
    refuse 78 "job $id began before \`$2\` was added to it, and runs \`${want##*/}\`: end the run first (toolorch down)"
  done
  # Who looks now shall not take it for cancelled by a person.
  rm -f -- "$BASE/jobs/$1/id"
  while living "$1" && ((${#IDS[@]})); do
    ((SECONDS < end)) || refuse 1 "job $id, which does not know \`$2\`, was cancelled and is not over"
    scancel "${IDS[@]}" 2>/dev/null; sleep 0.3
  done
  ((${#IDS[@]} == 0)) || refuse 75 "SLURM does not answer, so nothing is submitted: $WORDS"
  id=''
}
submit() { # JOB -> id.  An answer that does not come is no proof that nothing was accepted
  local job=$1 said rc lost='' end=$((SECONDS + 20))
  put "$BASE/jobs/$job/asked" "$BASHPID" || exit 1
  said=$(cd "$BASE" && timeout --kill-after=2 60 sbatch --parsable --job-name="$RUN.$job" --output="$BASE/jobs/$job/%j.log" \
    "$SCRIPTS/slurm/$job.sbatch" --run "$RUN" --share "$BASE" --scripts "$SCRIPTS" --wanted "$BASE/jobs/$job" </dev/null 2>&1); rc=$?
  id=${said##*$'\n'}; id=${id%%;*}
  [[ $rc == 0 && $id =~ ^[0-9]+$ ]] && return
  # A refusal is one: only an answer that was lost may come true later.
  [[ $rc != 124 && $said != *[Tt]imed\ out* && $said != *ontact\ slurm* ]] || lost=1
  while :; do
    if living "$job" && ((${#IDS[@]})); then id=${IDS[0]}; return; fi
    [[ -n $lost ]] || break
    ((SECONDS < end)) || break
    sleep 2
  done
  # Whoever asks again has the queue read first.
  [[ -z $lost ]] || refuse 75 "sbatch did not reach SLURM (exit code $rc): ${said//$'\n'/; }"
  ((rc)) || refuse 78 "sbatch names no job: ${said//$'\n'/; }; does an option of \`slurm.extra\` keep it from submitting?"
  refuse 1 "sbatch refused (exit code $rc): ${said//$'\n'/; }"
}

ended() { # its job stopped this start, or its node showed that it has come to its end
  local generation='' code=''
  { read -r generation code <"$DIR/done/$UNIT"; } 2>/dev/null
  [[ "$generation $code" == "$GENERATION 0" ]] && return
  # Its script ended, and all of the unit before that; one that was killed proves nothing.
  { read -r generation code <"$DIR/ran/$UNIT"; } 2>/dev/null && [[ $generation == "$GENERATION" ]] && ((code < 128)) && return
  grep -qsE "^\{.*\"unit\":\"$UNIT\",.*\"launch\":\"$LAUNCH\".*\"phase\":\"(exited|refused)\"" -- "$DIR"/seen/*
}
speaks() { # its node shows it and did so a moment ago: SLURM need not be asked
  local file
  glance
  file=$(grep -lsF "\"launch\":\"$LAUNCH\"" -- "$DIR"/seen/*) && age "${file%%$'\n'*}" && ((AGE < 15))
}
gone() { put "$DIR/done/$UNIT" "$GENERATION 0"; } # nothing of it is left: whoever looks need not ask for its job
verb_stop() { # JOB UNIT EPOCH GRACE
  local end looks=0 log
  is_name "$1"; is_name "$2"; fence "$3"; is_number "$4"
  DIR=$BASE/jobs/$1 UNIT=$2
  { read -r _ GENERATION LAUNCH _ _ log <"$DIR/want/$UNIT"; } 2>/dev/null || return 0
  need_slurm
  put "$DIR/want/$UNIT" "stop $GENERATION $LAUNCH $3 $4 $log" || exit 1
  end=$((SECONDS + $4 + 25)) IDS=() WORDS=''
  # It has not begun: now no job can begin it.  One that waits for nobody else goes.
  if ln -s none "$DIR/taken/$UNIT.$GENERATION" 2>/dev/null; then
    if ! wants "$DIR" && living "$1" && ((${#IDS[@]})) && is_waiting "${IDS[@]}"; then
      # Who starts it again shall not take this job for its own.
      rm -f -- "$DIR/id"; scancel "${IDS[@]}"
    fi
    return 0
  fi
  while :; do
    if ended; then gone; return; fi
    if ((looks++ % 10 == 0)) && ! speaks && living "$1"; then
      ((${#IDS[@]})) || { gone; return; }
      # A job that was requeued: nothing of it runs.
      ! is_waiting "${IDS[@]}" || { wants "$DIR" || { rm -f -- "$DIR/id"; scancel "${IDS[@]}"; }; gone; return; }
    fi
    ((SECONDS < end)) || break
    sleep 0.5
  done
  refuse 1 "job ${IDS[*]-?} did not end \`$UNIT\` within $(($4 + 25)) s${WORDS:+; $WORDS}"
}
is_waiting() { # ID…: all of these
  local id line
  for id; do for line in "${QUEUE[@]}"; do [[ $line != "$id|"* || $line == *"|PENDING|"* ]] || return 1; done; done
}

shows() { # DIR -> SHOWN: the id of its job, which showed its units a moment ago and was not told to end
  local restart told rest
  { read -r SHOWN restart rest <"$1/now" && read -r _ _ told <"$1/seen/$SHOWN.$restart"; } 2>/dev/null || return 1
  [[ $told == 0 && ! -e $1/over ]] && age "$1/seen/$SHOWN.$restart" && ((AGE < 10))
}
speak() { # every job with something to run shows it: SLURM need not be asked
  local dir
  for dir in "$BASE"/jobs/*; do ! wants "$dir" || shows "$dir" || return 1; done
}
verb_look() {
  local rc line dir unit name file generation id
  need_slurm
  # Units take this for somebody who watches them.
  line=${EPOCHREALTIME-}; line=${line:+${line/[.,]/}000}
  put "$BASE/.heartbeat" "seen=${line:-$(date +%s%N)}"
  glance
  QUEUE=() WORDS=''
  if speak; then rc=-; else queue; rc=$?; fi
  read -r line </proc/sys/kernel/hostname
  printf 'format 1\nhost %s\nbase %s\nqueue %s %s\n' "$line" "$BASE" "$rc" "$WORDS"
  for line in "${QUEUE[@]}"; do
    # What does not fit its partition may be its time: then with what that allows.
    [[ $line != *'|PENDING|Partition'* ]] || line+="|$(timeout 5 sinfo -h -p "${line##*|}" -o %l 2>/dev/null | head -n 1)"
    printf 'job %s\n' "$line"
  done
  for dir in "$BASE"/jobs/*/; do
    dir=${dir%/}; name=${dir##*/}
    for file in id now over ends; do
      { read -r line <"$dir/$file"; } 2>/dev/null && printf '%s %s %s\n' "$file" "$name" "$line"
    done
    for file in "$dir"/load.*; do
      id=${file##*/load.}
      while read -r line; do printf 'does %s %s %s\n' "$name" "${id/./ }" "$line"; done 2>/dev/null <"$file"
    done
    for file in "$dir"/want/*; do
      unit=${file##*/}
      { read -r line <"$file"; } 2>/dev/null || continue
      printf 'want %s %s %s\n' "$name" "$unit" "$line"
      read -r _ generation _ <<<"$line"
      { read -r line <"$dir/given/$unit"; } 2>/dev/null && printf 'given %s %s %s\n' "$name" "$unit" "$line"
      { read -r line <"$dir/ran/$unit"; } 2>/dev/null && printf 'ran %s %s %s\n' "$name" "$unit" "$line"
      { read -r line <"$dir/done/$unit"; } 2>/dev/null && printf 'done %s %s %s\n' "$name" "$unit" "$line"
      line=${TAKERS[$dir/taken/$unit.$generation]-}; [[ -z $line || $line == none ]] || printf 'taken %s %s %s\n' "$name" "$unit" "${line/./ }"
    done
    for file in "$dir"/seen/*; do
      # All of it, without a process of its own.
      age "$file" && { IFS= read -r -d '' line <"$file"; [[ -n $line ]]; } 2>/dev/null && printf 'seen %s %s %s\n' "$name" "$AGE" "${line%$'\n'}"
    done
  done
}
verb_marks() {
  local dir id verb rest want
  need_slurm
  for dir in "$BASE"/jobs/*/; do
    dir=${dir%/}
    living "${dir##*/}" || refuse 1 "the queue cannot be read: $WORDS"
    for id in "${IDS[@]}"; do
      for want in "$dir"/want/*; do
        { read -r verb rest <"$want"; } 2>/dev/null && [[ $verb == run ]] && printf '%s %s\n' "$id" "${want##*/}"
      done
    done
  done
  return 0
}
verb_end() {
  local end=$((SECONDS + 50)) again=0 line id name state left over
  need_slurm
  while :; do
    queue || refuse 1 "the queue cannot be read: $WORDS"
    left=()
    for line in "${QUEUE[@]}"; do
      IFS='|' read -r id name state _ <<<"$line"
      [[ "$ALIVE COMPLETING " == *" $state "* ]] || continue
      is_asked "${name#"$RUN."}" || continue
      # Its script has ended, and all units before that: SLURM may take a minute more to give the node back.
      { read -r over <"$BASE/jobs/${name#"$RUN."}/over"; } 2>/dev/null || over=''
      [[ $state == COMPLETING && ${over% *} == "$id" ]] || left+=("$id")
    done
    ((${#left[@]})) || return 0
    ((SECONDS < end)) || refuse 1 "jobs that were cancelled are not over: ${left[*]}"
    ((SECONDS < again)) || { scancel "${left[@]}" 2>/dev/null; again=$((SECONDS + 10)); }
    sleep 0.3
  done
}

log_of() { # UNIT -> LOG: its own, or that of its job where it did not get so far
  local file id
  LOG=''
  for file in "$BASE"/jobs/*/want/"$1"; do
    { read -r _ _ _ _ _ LOG <"$file"; } 2>/dev/null || continue
    [[ ! -f $LOG ]] && { read -r _ id <"${file%/want/*}/given/$1"; } 2>/dev/null && LOG=${file%/want/*}/$id.log
  done
  [[ -n $LOG ]]
}
verb_tail() {
  log_of "$1" || refuse 1 "$1: never started in run $RUN"
  [[ ! -f $LOG ]] || tail -c "$2" -- "$LOG"
}
verb_keep() {
  local pair; local -A kept=()
  mkdir -p -- "$BASE/.secrets" || exit 1
  if [[ -f $BASE/.secrets/$1 ]]; then while IFS= read -r -d '' pair; do kept[${pair%%=*}]=${pair#*=}; done <"$BASE/.secrets/$1"; fi
  while IFS= read -r -d '' pair; do [[ ${pair%%=*} =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] && kept[${pair%%=*}]=${pair#*=}; done
  ((${#kept[@]})) || return 0
  for pair in "${!kept[@]}"; do printf '%s=%s\0' "$pair" "${kept[$pair]}"; done >"$BASE/.secrets/.new.$1.$BASHPID" &&
    mv -fT -- "$BASE/.secrets/.new.$1.$BASHPID" "$BASE/.secrets/$1"
}
verb_passed() { if [[ -f $BASE/.secrets/$1 ]]; then cat -- "$BASE/.secrets/$1"; fi; }
verb_beat() { local line; IFS= read -r line && put "$BASE/.heartbeat" "$line"; }
verb_clear() {
  local left
  left=$(verb_marks) || exit 1
  [[ -z $left ]] || refuse 1 "jobs of run $RUN are left: ${left//$'\n'/, }"
  rm -rf -- "$BASE"
}

slurm() {
  local verb=${1-} unit
  shift
  RUN=${1-}; is_name "$RUN"; shift
  case $verb in
    start) (($# == 6)) || usage 'start needs JOB UNIT GENERATION LAUNCH EPOCH LOG'; verb_start "$@" ;;
    stop) (($# == 4)) || usage 'stop needs JOB UNIT EPOCH GRACE'; verb_stop "$@" ;;
    look) for unit; do is_name "$unit"; done; verb_look "$@" ;;
    marks) verb_marks ;;
    end) verb_end ;;
    beat) verb_beat ;;
    clear) verb_clear ;;
    keep) is_name "${1-}"; verb_keep "$1" ;;
    passed) is_name "${1-}"; verb_passed "$1" ;;
    tail) is_name "${1-}"; is_number "${2-}"; verb_tail "$1" "$2" ;;
    *) usage "usage: $0 start|stop|look|marks|end|tail|keep|passed|beat|clear RUN …; the head of the file explains them" ;;
  esac
}
slurm "$@"; exit # one line, so that bash has read it before it runs
