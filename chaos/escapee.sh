# What tries to escape from its command: it shows every 20 ms that it lives.
# Arguments: its trail, a file that ends it, a FIFO to wait on, when to end by itself (in s since the epoch), and its way:
# "stay" goes on as one process, "refork" hands on to a new session with an empty environment each time.
# Whatever goes wrong, it ends by itself: no escapee may outlive its test for long.
trail=$1 stop=$2 fifo=$3 end=$4 way=$5
exec 5<> "$fifo"
while ((EPOCHSECONDS < end)) && [ ! -e "$stop" ]; do
  echo "$EPOCHREALTIME $$" >> "$trail"
  read -t 0.02 -u 5
  if [ "$way" = refork ]; then
    env -i setsid bash "$0" "$@" > /dev/null 2>&1 < /dev/null &
    exit
  fi
done
