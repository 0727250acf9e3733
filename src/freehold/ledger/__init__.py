"""What an answer costs, on owned hardware and in the cloud, with the source of every price."""
