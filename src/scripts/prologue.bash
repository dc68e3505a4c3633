# Sourced by the bash of each command (BASH_ENV) before its script: it enters the command's process tree, so that
# whatever it starts is in there too. Builtins only: to start a program for this would double the cost of a command.

# As another user than the server's: whoever starts it puts it into its control group first. Should that fail it reads the end.
if [[ -n $SHELLVISOR_GATE_FD ]]; then
  read -r -u "$SHELLVISOR_GATE_FD" || exit 126
  exec {SHELLVISOR_GATE_FD}<&-
fi

# The mark; see src/os/mark.ts. bash older than 5.1 has no -R, and is found by its environment.
ulimit -R "$SHELLVISOR_MARK" 2>/dev/null

if [[ -n $SHELLVISOR_CGROUP ]] && ! { echo 0 >"$SHELLVISOR_CGROUP/cgroup.procs"; } 2>/dev/null; then
  echo "shellvisor: the command can't enter its control group $SHELLVISOR_CGROUP" >&2
  exit 126
fi

# Limits that its control group can't have; see src/scripts/limits.ts.
if [[ -n $SHELLVISOR_MEMORY_KIB ]] && ! ulimit -v "$SHELLVISOR_MEMORY_KIB"; then exit 126; fi
if [[ -n $SHELLVISOR_PROCESSES ]] && ! ulimit -u "$SHELLVISOR_PROCESSES"; then exit 126; fi
if [[ -n $SHELLVISOR_OPEN_FILES ]] && ! ulimit -n "$SHELLVISOR_OPEN_FILES"; then exit 126; fi

if [[ -n $SHELLVISOR_CWD ]]; then
  cd -P -- "$SHELLVISOR_CWD" || exit 126
  unset OLDPWD
fi

unset BASH_ENV SHELLVISOR_MARK SHELLVISOR_CGROUP SHELLVISOR_MEMORY_KIB SHELLVISOR_PROCESSES SHELLVISOR_OPEN_FILES
unset SHELLVISOR_GATE_FD SHELLVISOR_CWD REPLY
