"""Small trained priors that ship with the package, one file each."""
