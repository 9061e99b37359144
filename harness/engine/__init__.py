"""Who runs when and where: leases on devices, attempts at once, the judges that they share."""
