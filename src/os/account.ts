/** A user that children run as. */
export interface Account {
  uid: number;
  gid: number;
}
